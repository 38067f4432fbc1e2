import { abortable, type Clock } from "../kernel/clock.ts";
import { SocleError } from "../kernel/errors.ts";
import { countWithin, messageBytes, pageBytes } from "../kernel/text/message-bytes.ts";
import type { HostIdentity } from "../host/host.ts";
import type { HostEvent } from "../state/events/event.ts";
import type { Position } from "../state/records/position.ts";
import type { Event } from "../gen/socle/v1/Event.ts";
import type { Host } from "../gen/socle/v1/Host.ts";
import type { Position as PositionMessage } from "../gen/socle/v1/Position.ts";
import type { ReportPart } from "../gen/socle/v1/ReportPart.ts";
import type { SchedulerMessage__Output } from "../gen/socle/v1/SchedulerMessage.ts";
import type { Welcome__Output } from "../gen/socle/v1/Welcome.ts";
import { requireControlEpoch, requireCurrentEpoch } from "../state/records/control-epochs.ts";
import {
  ackOf,
  reconnectOf,
  reportDigestOf,
  welcomeOf,
  type Reconnect,
  type Known,
  type Terms,
} from "./answers.ts";
import type { Contact } from "./contact.ts";
import { followEvents, type Events } from "./event-feed.ts";
import type { ReportedState, StateChange } from "./state.ts";
import { defined } from "../kernel/defined.ts";
import { LATE, within } from "../kernel/concurrency/deadline.ts";

export interface SessionOptions {
  readonly state: ReportedState;
  readonly position: Position;
  readonly events: Events;
  readonly eventMessage: (event: HostEvent) => Event;
  readonly clock: Clock;
  readonly identity: () => HostIdentity;
  /** The address of the agent's services; empty: by unix socket only. */
  readonly agentAddress: () => string;
  /** Deadline for the scheduler's first message. */
  readonly contactTimeoutMs: number;
  readonly fence: Fence;
  /** Accepts the scheduler's epoch, which may be a higher one within the bound. */
  readonly onWelcome: (terms: Terms) => void;
  readonly onAck: (ack: { readonly generation: number; readonly eventSequence: number }) => void;
}

/** The highest control epoch that this host accepted. */
interface Fence {
  readonly controlEpoch: number;
}

/** Parts of the contract that this agent added to the first version. */
const capabilities: string[] = [];
const goodbyeTimeoutMs = 1000;
const minReportGapMs = 1000;
/** More objects or bytes than a page go through Report, where they delay no heartbeat. */
const maxDeltaObjects = 100;
const vmsPerPart = 100;

/** The state that was sent last, on this stream or through Report. */
interface SentState {
  readonly generation: number;
  readonly digest: string;
}

/** One session, from hello to its end. */
export class Session {
  readonly #contact: Contact;
  readonly #options: SessionOptions;
  readonly #stop: AbortSignal;
  #sent: SentState | undefined;
  #resync = false;
  #reportedAtMs = -Infinity;
  #wake: () => void = () => undefined;

  constructor(contact: Contact, options: SessionOptions, stop: AbortSignal) {
    this.#contact = contact;
    this.#options = options;
    this.#stop = stop;
  }

  /**
   * Runs until the scheduler ends it. Throws when it is lost, when the scheduler does not welcome the agent in time
   * (SCHEDULER_SILENT), is outdated (CONTROL_EPOCH_STALE), raises the epoch too far (CONTROL_EPOCH_TOO_FAR) or answers out of
   * bounds (SCHEDULER_ANSWER_INVALID), and the signal's reason.
   */
  async run(): Promise<Reconnect | undefined> {
    const over = new AbortController();
    const stopped = abortable<never>(over.signal, () => undefined);
    const onStop = (): void => over.abort(this.#stop.reason);
    if (this.#stop.aborted) onStop();
    this.#stop.addEventListener("abort", onStop, { once: true });
    try {
      return await Promise.race([this.#run(over.signal), stopped]);
    } finally {
      this.#stop.removeEventListener("abort", onStop);
      over.abort();
      stopped.catch(() => undefined);
      this.#wake();
    }
  }

  async #run(signal: AbortSignal): Promise<Reconnect | undefined> {
    const { state, clock } = this.#options;
    state.refresh();
    const hello = { generation: state.generation, digest: state.digest };
    const { id: hostId, hostname, agentVersion } = this.#options.identity();
    await this.#contact.send({
      hello: {
        hostId,
        hostname,
        agentVersion,
        capabilities,
        position: this.#position(),
        digest: hello.digest,
        agentAddress: this.#options.agentAddress(),
      },
    });
    const messages = this.#contact.messages();
    const { terms, known } = welcomeOf(await this.#welcome(messages, signal));
    requireControlEpoch(terms.controlEpoch, this.#options.fence.controlEpoch);
    this.#options.onWelcome(terms);
    this.#sent = this.#knownBy(known, hello);
    const parts = [
      this.#listen(messages),
      this.#sendState(signal),
      this.#sendEvents({ sequence: known.eventSequence, logId: known.eventLogId }, signal),
      this.#beat(terms, signal, clock),
    ];
    for (const part of parts) part.catch(() => undefined);
    return await Promise.race(parts);
  }

  /** Reports the agent's stop and waits until the scheduler has read it: for a second at most. */
  static async sayGoodbye(contact: Contact, clock: Clock): Promise<void> {
    const goodbye = contact
      .send({ goodbye: { reason: "the agent stops", expectedDowntime: null } })
      .then(() => contact.finish());
    await within(clock, goodbyeTimeoutMs, goodbye).catch(() => undefined);
  }

  async #welcome(
    messages: AsyncIterator<SchedulerMessage__Output, unknown>,
    signal: AbortSignal,
  ): Promise<Welcome__Output> {
    const { clock, contactTimeoutMs } = this.#options;
    const first = await within(clock, contactTimeoutMs, messages.next(), signal);
    if (first !== LATE && first.done !== true && first.value.welcome != null) return first.value.welcome;
    const message = "the scheduler did not welcome this host";
    throw new SocleError("unavailable", "SCHEDULER_SILENT", message);
  }

  /** The scheduler's state, if the agent can continue from it; undefined: it needs a report. */
  #knownBy({ digest, generation, agentEpoch }: Known, hello: SentState): SentState | undefined {
    if (digest === hello.digest) return hello;
    if (digest === "" || agentEpoch !== this.#options.position.agentEpoch) return undefined;
    return this.#options.state.since(generation) === undefined ? undefined : { generation, digest };
  }

  async #listen(messages: AsyncIterable<SchedulerMessage__Output>): Promise<Reconnect | undefined> {
    for await (const { ack, resync, reconnect } of messages) {
      if (ack != null) this.#options.onAck(ackOf(ack));
      if (resync != null) {
        this.#resync = true;
        this.#wake();
      }
      if (reconnect != null) return reconnectOf(reconnect);
    }
    return undefined;
  }

  async #sendState(signal: AbortSignal): Promise<undefined> {
    const { state, position } = this.#options;
    // Wakes this loop, which then reads the newest state.
    const changes = position.changes.subscribe(signal, 1)[Symbol.asyncIterator]();
    const follow = async (): Promise<void> => {
      while ((await changes.next()).done !== true) this.#wake();
    };
    void follow();
    while (!signal.aborted) {
      if (this.#sent === undefined || this.#resync) {
        if (this.#resync) await this.#pace(signal);
        await this.#report();
      } else if (state.generation !== this.#sent.generation) {
        await this.#sendDelta(this.#sent);
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    }
    return undefined;
  }

  /** Limits repeated report requests to one per second. */
  async #pace(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const leftMs = this.#reportedAtMs + minReportGapMs - clock.monotonicMs();
    if (leftMs > 0) await clock.sleep(leftMs, signal);
  }

  async #sendDelta(sent: SentState): Promise<void> {
    const { state } = this.#options;
    const change = state.since(sent.generation);
    if (change === undefined || isTooLarge(change)) {
      await this.#report();
      return;
    }
    const { generation, digest } = state;
    this.#sent = { generation, digest };
    await this.#contact.send({
      delta: {
        baseGeneration: sent.generation,
        generation,
        digest,
        host: change.host ?? null,
        changedVms: [...change.changedVms],
        removedVmIds: [...change.removedVmIds],
      },
    });
  }

  async #report(): Promise<void> {
    const { state } = this.#options;
    this.#resync = false;
    this.#reportedAtMs = this.#options.clock.monotonicMs();
    const { generation, digest } = state;
    const applied = reportDigestOf(await this.#contact.report(this.#parts(digest)));
    if (applied !== digest) {
      const message = `after a report the scheduler's digest is ${applied}, not ${digest}`;
      throw new SocleError("conflict", "DIGEST_DIFFERS", message);
    }
    this.#sent = { generation, digest };
  }

  *#parts(digest: string): Generator<ReportPart, void, undefined> {
    const { state, clock, identity } = this.#options;
    const nowMs = clock.now();
    const head = { hostId: identity().id, position: this.#position(), digest };
    const takenAt = { seconds: Math.floor(nowMs / 1000), nanos: Math.round((nowMs % 1000) * 1e6) };
    const vms = state.vmMessages();
    let host: Host | null = state.host;
    for (let at = 0; host !== null || at < vms.length;) {
      const some = vms.slice(at, at + vmsPerPart);
      // The host counts as an object of the first part, and may have the part for itself.
      const room = pageBytes - (host === null ? 0 : messageBytes(host));
      const count =
        host !== null && (some[0] === undefined || messageBytes(some[0]) > room)
          ? 0
          : countWithin(some, room);
      at += count;
      yield { ...head, takenAt, host, vms: some.slice(0, count), last: at >= vms.length };
      host = null;
    }
  }

  async #sendEvents(
    known: { readonly sequence: number; readonly logId: string },
    signal: AbortSignal,
  ): Promise<undefined> {
    const { events, position, clock, eventMessage } = this.#options;
    const stamp = { agentEpoch: position.agentEpoch, now: () => clock.now() };
    for await (const event of followEvents(events, known, stamp, signal)) {
      await this.#contact.send({ events: { events: [{ ...eventMessage(event), logId: events.logId }] } });
    }
    return undefined;
  }

  async #beat(terms: Terms, signal: AbortSignal, clock: Clock): Promise<undefined> {
    const { state, position } = this.#options;
    for (let heartbeatSequence = 1; ; heartbeatSequence += 1) {
      // Another scheduler may take over during a session.
      requireCurrentEpoch(terms.controlEpoch, this.#options.fence.controlEpoch);
      await this.#contact.send({
        heartbeat: defined({
          agentEpoch: position.agentEpoch,
          heartbeatSequence,
          generation: this.#sent?.generation ?? 0,
          digest: this.#sent?.digest ?? "",
          health: state.host.health?.state === undefined ? undefined : state.host.health.state,
        }),
      });
      await clock.sleep(terms.heartbeatMs, signal);
    }
  }

  #position(): PositionMessage {
    const { position, events, identity } = this.#options;
    const { agentEpoch, generation } = position;
    return {
      bootId: identity().bootId,
      agentEpoch,
      generation,
      eventSequence: events.newestSequence,
      eventLogId: events.logId,
    };
  }
}

/** For one message. */
const isTooLarge = ({ host, changedVms, removedVmIds }: StateChange): boolean => {
  const objects = host === undefined ? changedVms : [host, ...changedVms];
  return changedVms.length + removedVmIds.length > maxDeltaObjects || countWithin(objects) < objects.length;
};
