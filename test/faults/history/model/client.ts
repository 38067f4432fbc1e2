import { setMaxListeners } from "node:events";
import type { Service } from "../../../../agent/kernel/lifecycle/service.ts";
import { Topic } from "../../../../agent/kernel/concurrency/topic.ts";
import { LibvirtError } from "../../../../agent/libvirt/index.ts";
import { PendingCall } from "../../../../agent/libvirt/rpc/call.ts";
import { CallMeter, type CallTotals } from "../../../../agent/libvirt/client/call-meter.ts";
import { unreachable } from "../../../../agent/libvirt/rpc/errors.ts";
import type {
  CallSettings,
  LibvirtChange,
  LibvirtEvent,
  LibvirtStatus,
  LibvirtStream,
  Procedure,
} from "../../../../agent/libvirt/index.ts";
import { XdrError, XdrWriter } from "../../../../agent/libvirt/rpc/xdr.ts";
import type { ModelClock } from "./call-plan.ts";
import type { ModelStream } from "./stream.ts";

/** A client's view of its host. */
export interface Daemon {
  readonly clock: ModelClock;
  readonly isUp: boolean;
  readonly versions: { readonly libVersion: number; readonly hypervisorVersion: number };
  /** Executes the call and settles it. */
  serve(client: ModelLibvirt, call: PendingCall, args: unknown): Promise<void>;
  open(client: ModelLibvirt, procedure: Procedure<unknown, unknown>, args: unknown): Promise<ModelStream>;
  attach(client: ModelLibvirt): void;
  detach(client: ModelLibvirt): void;
  /** Resolves once the daemon runs. */
  untilUp(signal: AbortSignal): Promise<void>;
}

export interface ModelLibvirtOptions {
  /** The caller's name in the history. */
  readonly by: "agent" | "foreign";
  readonly agentRun?: number;
  readonly callTimeoutMs?: number;
  /** From a lost connection to the next attempt. */
  readonly reconnectAfterMs?: number;
}

/** Made once: an abort without a reason makes an exception with a stack. */
const callEnded = new Error("the call ended");

/** The surface of `Libvirt` (agent/libvirt/client/client.ts) over the model. */
export class ModelLibvirt implements Service {
  readonly name = "libvirt";
  readonly readyWithinMs = 1000;
  readonly changes = new Topic<LibvirtChange>();
  readonly events = new Topic<LibvirtEvent>();
  readonly options: ModelLibvirtOptions;
  readonly #daemon: Daemon;
  readonly #meter = new CallMeter();
  readonly #inFlight = new Set<PendingCall>();
  #status: LibvirtStatus;
  #connects = 0;
  #running = false;
  #isDead = false;
  #lost: (() => void) | undefined;
  #ownRun: { stop: AbortController; done: Promise<void> } | undefined;

  constructor(daemon: Daemon, options: ModelLibvirtOptions) {
    this.#daemon = daemon;
    this.options = options;
    this.#status = { connected: false, sinceMs: daemon.clock.now() };
  }

  get status(): LibvirtStatus {
    return this.#status;
  }

  get calls(): CallTotals {
    return this.#meter;
  }

  get reconnects(): number {
    return Math.max(0, this.#connects - 1);
  }

  /** Starts the client without a service, until `close`. */
  async connect(): Promise<this> {
    const stop = new AbortController();
    await new Promise<void>((ready) => {
      this.#ownRun = { stop, done: this.run(stop.signal, ready) };
    });
    return this;
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    setMaxListeners(0, signal);
    this.#running = true;
    const isOver = (): boolean => signal.aborted || this.#isDead;
    for (let isFirst = true; !isOver(); isFirst = false) {
      if (isFirst && !this.#daemon.isUp) ready();
      await this.#daemon.untilUp(signal);
      if (isOver()) break;
      const lost = new Promise<void>((resolve) => {
        this.#lost = resolve;
      });
      this.#up(isFirst);
      if (isFirst) ready();
      const ended = new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
      await Promise.race([lost, ended]);
      if (isOver()) this.#down(closed(), true);
      else
        await this.#daemon.clock.sleep(this.options.reconnectAfterMs ?? 100, signal).catch(() => undefined);
    }
    this.#running = false;
    this.#status = { connected: false, sinceMs: this.#daemon.clock.now(), error: closed() };
  }

  async close(): Promise<void> {
    this.#ownRun?.stop.abort();
    await this.#ownRun?.done;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The connection breaks; the daemon continues its running calls. */
  drop(why: LibvirtError = unreachable("DISCONNECTED", "libvirt closed the connection")): void {
    if (!this.#status.connected) return;
    this.#down(why, false);
    this.#lost?.();
  }

  /** The agent is killed: no message reaches it or libvirt any more, and none of its calls returns. */
  kill(): void {
    this.#isDead = true;
    this.#daemon.detach(this);
    this.#inFlight.clear();
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Called by the daemon: ends the call with `settle`. */
  settled(call: PendingCall, settle: () => void): void {
    if (this.#isDead) return;
    this.#inFlight.delete(call);
    settle();
  }

  deliver(event: LibvirtEvent): void {
    if (!this.#isDead && this.#status.connected) this.events.publish(event);
  }

  async call<A, R>(procedure: Procedure<A, R>, args: A, settings: CallSettings = {}): Promise<R> {
    return (await this.#meter.measure(() => this.#call(procedure, args, settings))) as R;
  }

  async #call<A, R>(procedure: Procedure<A, R>, args: A, settings: CallSettings): Promise<unknown> {
    if (this.#isDead) return await never();
    this.#requireUp();
    const timeoutMs = settings.timeoutMs ?? this.options.callTimeoutMs ?? 35_000;
    const { signal, urgent } = settings;
    const { clock } = this.#daemon;
    const call = new PendingCall(procedure, args, { timeoutMs, signal, urgent }, clock.monotonicMs());
    checkArguments(call);
    if (call.settled) return await call.result;
    call.serial = 1;
    this.#inFlight.add(call);
    const endWait = waitFor(clock, timeoutMs, () => {
      if (!this.#isDead) call.expire();
    });
    void this.#daemon.serve(this, call, args);
    return await call.result.finally(endWait);
  }

  async openStream<A, R>(
    procedure: Procedure<A, R>,
    args: A,
    settings: CallSettings = {},
  ): Promise<LibvirtStream<R>> {
    if (this.#isDead) return await never();
    this.#requireUp();
    settings.signal?.throwIfAborted();
    const stream = await this.#daemon.open(this, procedure, args);
    // The model's stream has only the methods that the agent calls; the class has private fields.
    return stream as unknown as LibvirtStream<R>;
  }

  #requireUp(): void {
    if (!this.#running) throw closed();
    if (this.#status.connected) return;
    throw this.#status.error ?? unreachable("DISCONNECTED", "libvirt is not connected yet");
  }

  #up(isFirst: boolean): void {
    const { clock, versions } = this.#daemon;
    this.#connects += 1;
    this.#status = { connected: true, sinceMs: clock.now(), ...versions };
    this.#daemon.attach(this);
    if (!isFirst) this.events.publish({ kind: "resync", family: "hypervisor", reason: "reconnected" });
    this.changes.publish({ kind: "connected" });
  }

  #down(error: LibvirtError, isClosing: boolean): void {
    this.#daemon.detach(this);
    this.#status = { connected: false, sinceMs: this.#daemon.clock.now(), error };
    for (const call of this.#inFlight) call.lose(error);
    this.#inFlight.clear();
    if (!isClosing) this.changes.publish({ kind: "disconnected", error });
  }
}

const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

const closed = (): LibvirtError => unreachable("CLOSED", "the libvirt client does not run");

function waitFor(clock: ModelClock, ms: number, late: () => void): () => void {
  if (clock.deadline !== undefined) return clock.deadline(ms, late);
  const ended = new AbortController();
  clock.sleep(ms, ended.signal).then(late, () => undefined);
  return () => ended.abort(callEnded);
}

const writer = new XdrWriter();

/** Validates arguments as the wire encoding does. */
function checkArguments(call: PendingCall): void {
  try {
    writer.truncate(0);
    call.encode(writer);
  } catch (thrown) {
    if (!(thrown instanceof XdrError)) throw thrown;
    const message = `${call.procedure.name} cannot be sent: ${thrown.message}`;
    const details = { fields: { [thrown.path]: thrown.problem } };
    throw new LibvirtError("invalid", "LIBVIRT_BAD_ARGUMENT", message, { cause: thrown, details });
  }
}
