import { setMaxListeners } from "node:events";
import { abortReason, systemClock, type Clock } from "../../kernel/clock.ts";
import { toSocleError, type SocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import { Topic } from "../../kernel/concurrency/topic.ts";
import { CallMeter, type CallTotals } from "./call-meter.ts";
import { unreachable } from "../rpc/errors.ts";
import { eventFamilies, readEvent, registerEvents } from "./event-sources.ts";
import type { LibvirtEvent, ResyncEvent } from "./events.ts";
import type { Frame } from "../rpc/frame.ts";
import { Link } from "./link.ts";
import { locate, parseUri, type Target } from "./locate.ts";
import { CALL_TIMEOUT_MS } from "./options.ts";
import type {
  CallSettings,
  Lane,
  LibvirtChange,
  LibvirtOptions,
  LibvirtStatus,
  PinSettings,
  StreamSettings,
} from "./options.ts";
import type { Family, Procedure } from "../rpc/procedure.ts";
import { PinnedSession } from "./pinned-session.ts";
import { readAgain } from "./read-again.ts";
import { openSession, type Session, type SessionOptions } from "./session.ts";
import { LibvirtStream, type StreamReceiver } from "../rpc/stream.ts";

const STREAMS_END_WITHIN_MS = 3000;
const lanes = ["events", "command", "observation"] as const;
type AnyLane = (typeof lanes)[number] | Lane;
/** Made by the first call that needs it; without it libvirt is connected all the same. */
const isLazy = (lane: AnyLane): boolean => lane === "slow";

/**
 * A libvirt on this host. Connected while all three connections to the hypervisor's daemon (commands, observation,
 * events) are up; each is repaired by itself. Whoever keeps a picture of libvirt lists again after `connected` in
 * `changes` and after `resync` in `events`.
 */
export class Libvirt implements Service {
  readonly name = "libvirt";
  /** The first attempt to connect takes as long as a daemon that hangs is waited for. */
  readonly readyWithinMs = 1000;
  readonly changes = new Topic<LibvirtChange>();
  readonly events = new Topic<LibvirtEvent>();
  readonly #options: LibvirtOptions;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #target: Target;
  readonly #links = new Map<string, { family: Family; link: Link; done: Promise<void> }>();
  readonly #up = new Map<AnyLane, Session>();
  readonly #streaming = new Set<Session["connection"]>();
  readonly #meter = new CallMeter();
  #connects = 0;
  #status: LibvirtStatus;
  #modular = false;
  #running: AbortSignal | undefined;
  #ownRun: { stop: AbortController; done: Promise<void> } | undefined;

  /** Throws `invalid` or `unsupported` for a URI that cannot work. */
  constructor(options: LibvirtOptions) {
    this.#options = options;
    this.#log = options.log.child({ component: "libvirt" });
    this.#clock = options.clock ?? systemClock;
    this.#target = parseUri(options.uri);
    this.#status = { connected: false, sinceMs: this.#clock.now() };
  }

  /** For scripts and tests: a client that is connected, until `close`. Throws why it is not. */
  static async connect(options: LibvirtOptions): Promise<Libvirt> {
    const libvirt = new Libvirt(options);
    const stop = new AbortController();
    const tried = new Promise<void>((resolve) => {
      libvirt.#ownRun = { stop, done: libvirt.run(stop.signal, resolve) };
    });
    await tried;
    const { status } = libvirt;
    if (status.connected) return libvirt;
    await libvirt.close();
    throw status.error ?? unreachable("DISCONNECTED", "libvirt could not be reached");
  }

  /** Since when, on the wall clock; versions as major * 1,000,000 + minor * 1,000 + micro. */
  get status(): LibvirtStatus {
    return this.#status;
  }

  /** Of `call` alone: what keeps a connection open is not counted. */
  get calls(): CallTotals {
    return this.#meter;
  }

  /** How often it was connected anew. */
  get reconnects(): number {
    return Math.max(0, this.#connects - 1);
  }

  /** `ready` is called once the first attempt to connect ended, either way. */
  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    // Every connection and stream listens to it; Node would take eleven for a leak.
    setMaxListeners(0, signal);
    this.#running = signal;
    await Promise.all(lanes.map(async (lane) => this.#link(lane, "hypervisor", signal).attempt));
    ready();
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.all([...this.#links.values()].map(({ done }) => done));
    await this.#endStreams();
    this.#links.clear();
    this.#up.clear();
    this.#running = undefined;
    this.#status = { connected: false, sinceMs: this.#clock.now(), error: closed() };
  }

  /** Ends what `connect` began. */
  async close(): Promise<void> {
    this.#ownRun?.stop.abort();
    await this.#ownRun?.done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Calls a procedure. Throws libvirt's own refusals; `timeout` for a call that only reads or was never sent;
   * `outcome_unknown` for one that changes something, was sent and got no answer; `unavailable` while libvirt is not
   * connected; `exhausted` when too many calls wait; `invalid` for arguments that cannot be sent.
   */
  async call<A, R>(procedure: Procedure<A, R>, args: A, settings: CallSettings = {}): Promise<R> {
    const beganAtMs = this.#meter.began();
    try {
      const {
        signal,
        lane = "command",
        timeoutMs = this.#options.callTimeoutMs ?? CALL_TIMEOUT_MS,
      } = settings;
      const isCommands = procedure.onlyReads && lane === "command";
      const again = { clock: this.#clock, timeoutMs, signal, mayRepeat: () => isCommands && !!this.#running };
      const once = (ms: number) => this.#callOnce(procedure, args, { ...settings, lane, timeoutMs: ms });
      const result = await readAgain(once, again);
      this.#meter.ended(beganAtMs);
      return result;
    } catch (thrown) {
      this.#meter.ended(beganAtMs, thrown);
      throw thrown;
    }
  }

  async #callOnce<A, R>(
    procedure: Procedure<A, R>,
    args: A,
    { signal, lane, urgent, timeoutMs }: CallSettings & { lane: Lane; timeoutMs: number },
  ): Promise<R> {
    const family = this.#modular ? procedure.family : "hypervisor";
    if (this.#running === undefined) throw closed();
    const link = this.#link(lane, family, this.#running);
    const waitedMs = link.attempt === undefined ? 0 : await this.#wait(link.attempt, timeoutMs, signal);
    return await link.call(procedure, args, { timeoutMs: Math.max(timeoutMs - waitedMs, 1), signal, urgent });
  }

  /**
   * Opens a stream on a connection of its own. `timeoutMs` is for its opening and its end, not for its data; that may not
   * stand still for `stallTimeoutMs` (`callTimeoutMs` unless said; Infinity where a person watches).
   */
  async openStream<A, R>(
    procedure: Procedure<A, R>,
    args: A,
    settings: StreamSettings = {},
  ): Promise<LibvirtStream<R>> {
    const running = this.#running;
    if (running === undefined) throw closed();
    const { callTimeoutMs = CALL_TIMEOUT_MS } = this.#options;
    const { timeoutMs = callTimeoutMs, stallTimeoutMs = callTimeoutMs } = settings;
    const { signal, release } = either(settings.signal, running);
    const connect = async (receiver: StreamReceiver): Promise<Session["connection"]> => {
      const endpoint = await this.#locate(this.#modular ? procedure.family : "hypervisor");
      const { connection } = await openSession(endpoint, { ...this.#sessionOptions(), ...receiver }, signal);
      this.#streaming.add(connection);
      void connection.closed.then(() => {
        this.#streaming.delete(connection);
        release();
      });
      return connection;
    };
    try {
      return await LibvirtStream.open(connect, procedure, args, {
        clock: this.#clock,
        timeoutMs,
        stallTimeoutMs,
        signal,
      });
    } catch (thrown) {
      release();
      throw thrown;
    }
  }

  /** Opens a session of the caller's own, which is never replaced. It ends by its `close`, or with this client. */
  async pin({ signal: asked, family = "hypervisor" }: PinSettings = {}): Promise<PinnedSession> {
    const running = this.#running;
    if (running === undefined) throw closed();
    const { signal, release } = either(asked, running);
    try {
      const endpoint = await this.#locate(this.#modular ? family : "hypervisor");
      const options = { ...this.#sessionOptions(), keepalive: this.#keepalive(), reserved: 1, pinned: true };
      const { connection } = await openSession(endpoint, options, signal);
      const onAbort = (): void => connection.close(closed());
      running.addEventListener("abort", onAbort, { once: true });
      if (running.aborted) onAbort();
      void connection.closed.then(() => running.removeEventListener("abort", onAbort));
      return new PinnedSession(connection, this.#meter, this.#options.callTimeoutMs);
    } finally {
      release();
    }
  }

  /** Streams end themselves by the signal; what libvirt has not ended in time is left to it. */
  async #endStreams(): Promise<void> {
    if (this.#streaming.size === 0) return;
    const done = new AbortController();
    const late = this.#clock.sleep(STREAMS_END_WITHIN_MS, done.signal).catch(() => undefined);
    await Promise.race([Promise.all([...this.#streaming].map((connection) => connection.closed)), late]);
    done.abort();
    for (const connection of this.#streaming) connection.close(closed());
  }

  /** For `attempt`, but no longer than the time and the caller's patience allow; gives how long it took. */
  async #wait(attempt: Promise<void>, timeoutMs: number, signal: AbortSignal | undefined): Promise<number> {
    const startedMs = this.#clock.monotonicMs();
    const done = new AbortController();
    const end = (): void => done.abort();
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted === true) end();
    void attempt.then(end);
    await this.#clock.sleep(timeoutMs, done.signal).catch(() => undefined);
    signal?.removeEventListener("abort", end);
    return this.#clock.monotonicMs() - startedMs;
  }

  #link(lane: AnyLane, family: Family, signal: AbortSignal): Link {
    const key = `${lane} ${family}`;
    const there = this.#links.get(key);
    if (there !== undefined) return there.link;
    const isMain = family === "hypervisor";
    const isCounted = isMain && !isLazy(lane);
    let was: "untried" | "up" | "down" = "untried";
    const link = new Link({
      log: this.#log.child({ lane, family }),
      clock: this.#clock,
      backoff: this.#options.backoff ?? { baseMs: 100, capMs: 10_000 },
      open: (ending) => this.#open(lane, family, ending),
      onUp: (session) => {
        for (const other of this.#links.values()) if (other.family === family) other.link.hurry();
        // Of a driver's own daemon each lane tells, not the events alone: who lists again at the first may find the
        // lane it asks over still down.
        if (was === "down" && (lane === "events" || !isMain)) this.#resync(family, "reconnected");
        was = "up";
        if (isCounted) this.#laneUp(lane, session);
      },
      onDown: (error) => {
        // `changes` says it of the hypervisor's daemon.
        if (was === "up" && lane === "events" && !isMain) this.#resync(family, "disconnected");
        was = "down";
        if (isCounted) this.#laneDown(lane, error);
      },
    });
    this.#links.set(key, { family, link, done: link.run(signal) });
    return link;
  }

  async #open(lane: AnyLane, family: Family, signal: AbortSignal): Promise<Session> {
    const endpoint = await this.#locate(family);
    const isMain = family === "hypervisor";
    if (!isMain && !endpoint.modular) {
      throw unreachable(
        "NOT_MODULAR",
        "libvirt runs as one daemon now; its drivers have no sockets of their own",
      );
    }
    const onEvent = (frame: Frame): void => this.#onEvent(family, frame);
    const options = {
      ...this.#sessionOptions(),
      keepalive: this.#keepalive(),
      reserved: lane === "command" ? 1 : 0,
      ...(lane === "events" ? { onEvent } : {}),
    };
    const session = await openSession(endpoint, options, signal);
    if (isMain) this.#modular = endpoint.modular;
    if (lane !== "events") return session;
    try {
      const families = isMain && !endpoint.modular ? eventFamilies : [family];
      const leftOut = await registerEvents(session.connection, families, { timeoutMs: 10_000, signal });
      if (leftOut.length > 0)
        this.#log.info({ family, leftOut }, "libvirt does not know some events; they are left out");
    } catch (thrown) {
      session.connection.close(toSocleError(thrown));
      throw thrown;
    }
    return session;
  }

  #locate(family: Family): ReturnType<typeof locate> {
    const { environment = {}, runDirectory = "/run/libvirt" } = this.#options;
    return locate(this.#target, family, { environment, runDirectory });
  }

  #keepalive(): NonNullable<LibvirtOptions["keepalive"]> {
    return this.#options.keepalive ?? { intervalMs: 5000, count: 5 };
  }

  #sessionOptions(): SessionOptions {
    const { maxInFlight = 4, maxQueued = 8192, connectTimeoutMs = 10_000 } = this.#options;
    return { clock: this.#clock, maxInFlight, maxQueued, connectTimeoutMs };
  }

  #laneUp(lane: AnyLane, session: Session): void {
    this.#up.set(lane, session);
    if (lane === "events" && this.#modular && this.#running !== undefined) {
      for (const family of eventFamilies) this.#link("events", family, this.#running);
    }
    if (this.#status.connected || this.#up.size < lanes.length) return;
    const { libVersion, hypervisorVersion } = session;
    this.#status = {
      connected: true,
      sinceMs: this.#clock.now(),
      libVersion,
      ...(hypervisorVersion === undefined ? {} : { hypervisorVersion }),
    };
    this.#log.info(
      { uri: this.#target.uri, libVersion, hypervisorVersion, modular: this.#modular },
      "libvirt is connected",
    );
    this.#connects += 1;
    this.changes.publish({ kind: "connected" });
  }

  #laneDown(lane: AnyLane, error: SocleError): void {
    this.#up.delete(lane);
    if (!this.#status.connected) {
      this.#status = { ...this.#status, error };
      return;
    }
    this.#status = { connected: false, sinceMs: this.#clock.now(), error };
    this.#log.warn({ lane, err: error }, "libvirt is disconnected");
    this.changes.publish({ kind: "disconnected", error });
  }

  #onEvent(family: Family, frame: Frame): void {
    try {
      const event = readEvent(frame);
      if (event !== undefined) this.events.publish(event);
    } catch (thrown) {
      this.#log.error({ err: thrown, procedure: frame.procedure }, "an event of libvirt cannot be read");
      this.#resync(family, "unreadable_event");
    }
  }

  #resync(family: Family, reason: ResyncEvent["reason"]): void {
    this.events.publish({ kind: "resync", family, reason });
  }
}

/** Aborted with the first of the two, whose reason it has; with the other, because the client ends. */
function either(
  asked: AbortSignal | undefined,
  running: AbortSignal,
): { readonly signal: AbortSignal; readonly release: () => void } {
  const ending = new AbortController();
  const over = new AbortController();
  const follow = (followed: AbortSignal, why: () => Error): void => {
    const onAbort = (): void => ending.abort(why());
    if (followed.aborted) onAbort();
    else followed.addEventListener("abort", onAbort, { once: true, signal: over.signal });
  };
  if (asked !== undefined) follow(asked, () => abortReason(asked));
  follow(running, closed);
  return { signal: ending.signal, release: () => over.abort() };
}

function closed(): SocleError {
  return unreachable("CLOSED", "the libvirt client does not run");
}
