import { setMaxListeners } from "node:events";
import { systemClock, type Clock } from "../internal/clock.ts";
import { toLibvirtError, type LibvirtError } from "../internal/errors.ts";
import { silent, type Logger } from "../internal/logger.ts";
import { Topic, type Subscribable } from "../internal/topic.ts";
import { CallMeter, type CallTotals } from "./call-meter.ts";
import { unreachable } from "../rpc/errors.ts";
import { closed, either } from "./ending.ts";
import { eventFamilies, readEvent, registerEvents } from "./event-sources.ts";
import type { LibvirtEvent, ResyncEvent } from "./events.ts";
import type { Frame } from "../rpc/frame.ts";
import { Link } from "./link.ts";
import { Domains } from "./objects/domains.ts";
import { Networks } from "./objects/networks.ts";
import { Pools } from "./objects/pools.ts";
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
/** Opened by the first call that needs it, and not counted for `status`. */
const isLazy = (lane: AnyLane): boolean => lane === "slow" || lane === "guest";

/**
 * The libvirt of this host. It is connected while all three connections to the hypervisor's daemon (commands, observation,
 * events) are up; each reconnects by itself. Clients with a copy of libvirt's state list again after `connected` in
 * `changes` and after `resync` in `events`.
 */
export class Libvirt {
  readonly name = "libvirt";
  /** A hung daemon delays the first attempt to connect up to its deadline; startup goes on without it. */
  readonly readyWithinMs = 1000;
  readonly domains = new Domains(this);
  readonly pools = new Pools(this);
  readonly networks = new Networks(this);
  readonly #changes = new Topic<LibvirtChange>();
  readonly #events = new Topic<LibvirtEvent>();
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
    this.#log = (options.log ?? silent).child({ component: "libvirt" });
    this.#clock = options.clock ?? systemClock;
    this.#target = parseUri(options.uri);
    this.#status = { connected: false, sinceMs: this.#clock.now() };
  }

  /** Connects, and stays connected until `close`. Throws the error of the first attempt. */
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

  get events(): Subscribable<LibvirtEvent> {
    return this.#events;
  }

  get changes(): Subscribable<LibvirtChange> {
    return this.#changes;
  }

  /** Since when, on the wall clock; versions as major * 1,000,000 + minor * 1,000 + micro. */
  get status(): LibvirtStatus {
    return this.#status;
  }

  /** Counts `call` alone, not the calls that open and keep a connection. */
  get calls(): CallTotals {
    return this.#meter;
  }

  /** Number of reconnects. */
  get reconnects(): number {
    return Math.max(0, this.#connects - 1);
  }

  /** Calls `ready` once the first attempt to connect has succeeded or failed. */
  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    // Each connection and stream adds a listener; Node warns of a leak from eleven on.
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

  /** Ends a client that `connect` started, and with it all its subscriptions. */
  async close(): Promise<void> {
    this.#ownRun?.stop.abort();
    await this.#ownRun?.done;
    this.#events.end();
    this.#changes.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Calls a procedure. Throws libvirt's own refusals; `timeout` for a call that only reads or was never sent;
   * `outcome_unknown` for one that changes something, was sent and got no answer; `unavailable` while libvirt is not
   * connected; `exhausted` when too many calls wait; `invalid` for arguments that cannot be sent.
   */
  call<A, R>(procedure: Procedure<A, R>, args: A, settings: CallSettings = {}): Promise<R> {
    const { signal, lane = "command", timeoutMs = this.#options.callTimeoutMs ?? CALL_TIMEOUT_MS } = settings;
    const isCommands = procedure.onlyReads && lane === "command";
    const again = { clock: this.#clock, timeoutMs, signal, mayRepeat: () => isCommands && !!this.#running };
    const once = (ms: number) => this.#callOnce(procedure, args, { ...settings, lane, timeoutMs: ms });
    return this.#meter.measure(() => readAgain(once, again));
  }

  async #callOnce<A, R>(
    procedure: Procedure<A, R>,
    args: A,
    { signal, lane, urgent, timeoutMs }: CallSettings & { lane: Lane; timeoutMs: number },
  ): Promise<R> {
    if (this.#running === undefined) throw closed();
    const link = this.#link(lane, this.#served(procedure.family), this.#running);
    const waitedMs = link.attempt === undefined ? 0 : await this.#wait(link.attempt, timeoutMs, signal);
    return await link.call(procedure, args, { timeoutMs: Math.max(timeoutMs - waitedMs, 1), signal, urgent });
  }

  /**
   * Opens a stream on a connection of its own. `timeoutMs` is the deadline for opening and for finishing it. The stream
   * fails when no data moves for `stallTimeoutMs` (`callTimeoutMs` by default; Infinity for a console).
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
      const endpoint = await this.#locate(this.#served(procedure.family));
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

  /** Opens a session for the caller alone, which is never replaced. It ends with its `close`, or with this client. */
  async pin({ signal: asked, family = "hypervisor" }: PinSettings = {}): Promise<PinnedSession> {
    const running = this.#running;
    if (running === undefined) throw closed();
    const { signal, release } = either(asked, running);
    try {
      const endpoint = await this.#locate(this.#served(family));
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

  /** The signal ends all streams; connections whose streams libvirt has not ended in time are closed. */
  async #endStreams(): Promise<void> {
    if (this.#streaming.size === 0) return;
    const done = new AbortController();
    const late = this.#clock.sleep(STREAMS_END_WITHIN_MS, done.signal).catch(() => undefined);
    await Promise.race([Promise.all([...this.#streaming].map((connection) => connection.closed)), late]);
    done.abort();
    for (const connection of this.#streaming) connection.close(closed());
  }

  /** Waits for `attempt`, up to the deadline or the caller's signal. Returns how long it waited. */
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
        // For a driver's own daemon each lane publishes a resync: a client that lists after the first one may find its
        // own lane still down.
        if (was === "down" && (lane === "events" || !isMain)) this.#resync(family, "reconnected");
        was = "up";
        if (isCounted) this.#laneUp(lane, session);
      },
      onDown: (error) => {
        // For the hypervisor's daemon, `changes` reports it.
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
      const call = { timeoutMs: options.connectTimeoutMs, signal };
      const leftOut = await registerEvents(session.connection, families, call);
      if (leftOut.length > 0)
        this.#log.info({ family, leftOut }, "libvirt does not know some events; they are left out");
    } catch (thrown) {
      session.connection.close(toLibvirtError(thrown));
      throw thrown;
    }
    return session;
  }

  /** The family whose daemon serves that family. */
  #served(family: Family): Family {
    return this.#modular ? family : "hypervisor";
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
    this.#changes.publish({ kind: "connected" });
  }

  #laneDown(lane: AnyLane, error: LibvirtError): void {
    this.#up.delete(lane);
    if (!this.#status.connected) {
      this.#status = { ...this.#status, error };
      return;
    }
    this.#status = { connected: false, sinceMs: this.#clock.now(), error };
    this.#log.warn({ lane, err: error }, "libvirt is disconnected");
    this.#changes.publish({ kind: "disconnected", error });
  }

  #onEvent(family: Family, frame: Frame): void {
    try {
      const event = readEvent(frame);
      if (event !== undefined) this.#events.publish(event);
    } catch (thrown) {
      this.#log.error({ err: thrown, procedure: frame.procedure }, "an event of libvirt cannot be read");
      this.#resync(family, "unreadable_event");
    }
  }

  #resync(family: Family, reason: ResyncEvent["reason"]): void {
    this.#events.publish({ kind: "resync", family, reason });
  }
}
