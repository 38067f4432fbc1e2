import { randomUUID } from "node:crypto";
import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import { hasEnded, ownIdentity, type ProcessIdentity } from "../../kernel/lifecycle/process-identity.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import type * as libvirt from "../../libvirt/index.ts";
import { isSameFence, type ControlFence, type FenceOrigin } from "../../state/records/control-fence.ts";
import type { Permit } from "../../state/operations/permit.ts";
import type { Watermark } from "../../state/records/watermark.ts";
import type { LibvirtCalls } from "./certainty.ts";
import { fenceOf, leaseSchema, writeOf, type FoundLease, type Lease } from "./lease-record.ts";
import { inUse, isOfTheConnection, notAskedYet, unread, unrecorded } from "./lease-refusals.ts";
import { LeaseSuccession } from "./lease-succession.ts";
import { UniqueSecret } from "./unique-secret.ts";
import { LATE, within } from "../../kernel/concurrency/deadline.ts";

export interface HypervisorLeaseOptions {
  readonly libvirt: LibvirtCalls & Pick<libvirt.Libvirt, "events" | "changes">;
  readonly uri: string;
  readonly stateDirectory: string;
  /** Of the state directory: an agent that goes on with the state of the holder may take over from it. */
  readonly stateId: string;
  readonly agentEpoch: () => number;
  /** As it is durable here. */
  readonly controlFence: () => ControlFence;
  /** `Trust.listTimes`. */
  readonly revocationLists: () => Lease["revocationLists"];
  readonly watermark: Pick<Watermark, "value" | "publishBy" | "raise">;
  /** Called before the lease is taken over. Where it rejects, the lease is not taken. */
  readonly onFollow: (before: HolderBefore) => Promise<void>;
  readonly permit: Permit;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What the agent that held the lease before had come to. */
export interface HolderBefore extends FenceOrigin {
  readonly agentEpoch: number;
  readonly watermark: number;
  readonly controlFence: ControlFence;
  readonly revocationLists: Lease["revocationLists"];
  /** It did more since than this state directory knows. */
  readonly isAhead: boolean;
}

const usage = "socle-agent-lease";
const part = "lease";
const LOOK_EVERY_MS = 3000;
const LOOKS_PER_BEAT = 5;
/** So long without a beat, an agent with the same state in another PID namespace has ended. */
const SILENT_MS = 60_000;
/** An operation waits for this, whatever the lease's turns take. */
const PUBLISH_MS = 5000;
const PUBLISH_CALL_MS = 2000;
const PUBLISH_TRIES = 2;

/**
 * One agent changes things in a libvirt: the one that holds this lease, which is a libvirt secret without a value. It holds for
 * all who reach that libvirt, from whatever namespace and with whatever state directory. A holder that ended is followed at
 * once where that can be seen (from the same PID namespace, in this boot or a later one); where it cannot, by an agent with the same
 * state after a minute without a beat, and by others once a person removed the secret. One agent at a time follows
 * (LeaseSuccession). The lease has the watermark of its holder's state, by which an older copy is known, and its control epoch,
 * which an older copy must not undercut.
 */
export class HypervisorLease implements Service {
  readonly name = "hypervisor lease";
  /** Readiness does not hang on libvirt: changes are refused until it has answered. */
  readonly readyWithinMs = 500;
  readonly #options: HypervisorLeaseOptions;
  readonly #holder = randomUUID();
  readonly #secrets: UniqueSecret<typeof leaseSchema>;
  readonly #succession: LeaseSuccession;
  /** Cached identity of this process. */
  #process: ProcessIdentity | undefined;
  /** Of the secret that this agent writes. */
  #uuid: string = randomUUID();
  /** Why it is not held, where libvirt or another agent is the reason. */
  #refusal: SocleError | undefined;
  #isHeld = false;
  /** The lease lacks a mark that libvirt could not be given. */
  #isBehind = false;
  /** Looks and writes come one at a time. */
  #turn: Promise<unknown> = Promise.resolve();
  #wake: () => void = () => undefined;
  /** This libvirt has no secrets: this agent works without the lease. */
  #isWithout = false;
  #beat = 0;
  /** Of the holder: its newest beat, and since when it is that. */
  #seen: { readonly uuid: string; readonly beat: number; readonly sinceMs: number } | undefined;
  /** The write of the lease that this process found first, "" for none. */
  #firstFound: string | undefined;

  constructor(options: HypervisorLeaseOptions) {
    this.#options = options;
    this.#secrets = new UniqueSecret(options.libvirt, usage, leaseSchema);
    this.#succession = new LeaseSuccession(options.libvirt, options.clock, this.#holder);
    options.permit.refuse(part, notAskedYet());
    options.watermark.publishBy(
      () => this.#publish(),
      () => this.#isHeld || this.#isWithout,
    );
  }

  /** Another agent holds it, or libvirt refuses to say so. */
  get failure(): SocleError | undefined {
    return this.#refusal;
  }

  tryAgain(): Promise<void> {
    return Promise.resolve();
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { watermark } = this.#options;
    void this.#followEvents(signal);
    void this.#followConnection(signal);
    signal.addEventListener("abort", () => this.#wake(), { once: true });
    for (let looks = 0; !signal.aborted; looks += 1) {
      try {
        if (this.#isHeld && (this.#isBehind || looks % LOOKS_PER_BEAT === 0)) await this.#raise();
        await this.#inTurn(() => this.#look());
      } catch (thrown) {
        this.#unanswered(toSocleError(thrown));
      }
      ready();
      await this.#pause(signal);
    }
    if (!this.#isHeld) return;
    await watermark.raise().catch(() => undefined);
    this.#isHeld = false;
    await this.#inTurn(() => this.#define(true)).catch(() => undefined);
  }

  /** Rejects with libvirt's errors alone. */
  async #raise(): Promise<void> {
    try {
      await this.#options.watermark.raise();
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (!error.reason.startsWith("STATE_")) throw error;
      this.#options.log.debug({ err: error }, "the watermark of the state cannot be raised");
    }
  }

  /** Until the next look is due, or is called for. */
  async #pause(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const pause = new AbortController();
    this.#wake = () => pause.abort();
    await this.#options.clock.sleep(LOOK_EVERY_MS, pause.signal).catch(() => undefined);
  }

  /** Looks at once when somebody else changes or removes the lease. */
  async #followEvents(signal: AbortSignal): Promise<void> {
    for await (const item of this.#options.libvirt.events.subscribe(signal)) {
      const event = item.kind === "overflow" ? undefined : item.value;
      if (event?.kind !== "secret" || event.secret.usageId !== usage) continue;
      if (event.secret.uuid !== this.#uuid || event.event === "undefined") this.#wake();
    }
  }

  /** Changes are refused until libvirt was asked: at once when it can be. */
  async #followConnection(signal: AbortSignal): Promise<void> {
    for await (const item of this.#options.libvirt.changes.subscribe(signal))
      if (item.kind === "overflow" || item.value.kind === "connected") this.#wake();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #look(): Promise<void> {
    this.#isHeld = this.#isHeld ? await this.#keep() : await this.#take();
  }

  /**
   * Writes the watermark into the lease. False: libvirt refuses that, or another agent has the lease, and changes are refused
   * when this resolves. Rejects where libvirt does not answer in time, and before the first look.
   */
  async #publish(): Promise<boolean> {
    if (this.#isWithout) return true;
    if (!this.#isHeld && !this.#isOthers) throw this.#refusal ?? notAskedYet();
    const { clock } = this.#options;
    const written = await within(clock, PUBLISH_MS, this.#write(clock.monotonicMs() + PUBLISH_MS));
    if (written === LATE) throw unrecorded();
    return written;
  }

  async #write(deadlineMs: number): Promise<boolean> {
    const inTime = <T>(work: () => Promise<T>): Promise<T> =>
      this.#inTurn(() =>
        this.#options.clock.monotonicMs() < deadlineMs ? work() : Promise.reject(unrecorded()),
      );
    for (let tries = 1; this.#isHeld; tries += 1) {
      try {
        this.#isBehind = true;
        await inTime(() => this.#define(false, PUBLISH_CALL_MS));
        this.#isBehind = false;
        return true;
      } catch (thrown) {
        const error = toSocleError(thrown);
        const isLast = tries >= PUBLISH_TRIES;
        if (isOfTheConnection(error) && (isLast || error.kind === "unavailable")) throw error;
        this.#options.log.debug({ err: error }, "libvirt refuses to write the agent's lease");
        if (isLast) return false;
        await inTime(() => this.#look()).catch((unread: unknown) => {
          if (isOfTheConnection(toSocleError(unread))) throw unread;
        });
      }
    }
    return false;
  }

  get #isOthers(): boolean {
    return this.#refusal?.reason === "HYPERVISOR_IN_USE";
  }

  /** Whom another agent keeps out stays out, and the holder goes on. Else nothing is changed before libvirt has answered. */
  #unanswered(error: SocleError): void {
    const { log, uri } = this.#options;
    if (isOfTheConnection(error) || this.#isHeld || this.#isWithout || this.#isOthers) {
      log.debug({ err: error }, "libvirt cannot be asked for the agent's lease");
    } else if (error.reason === "LIBVIRT_NO_SUPPORT") {
      log.warn(
        { err: error },
        "libvirt has no secrets, and so no lease for this agent: see that no other agent uses this libvirt",
      );
      this.#allow("without");
    } else {
      this.#refuseUntilMended(
        "LEASE_UNREADABLE",
        `${uri} does not say whether another agent uses it (${error.message}): changes are refused; see that its secrets ` +
          `can be read and written (virsh -c '${uri}' secret-list)`,
        error,
      );
    }
  }

  #allow(how: "held" | "without"): void {
    // Before changes are permitted: each may raise the watermark at once.
    this.#isHeld = how === "held";
    this.#isWithout = how === "without";
    this.#refusal = undefined;
    this.#options.permit.allow(part);
  }

  #refuse(refusal: SocleError): false {
    const { log, permit } = this.#options;
    if (this.#refusal?.message !== refusal.message) log.error(refusal.message);
    this.#refusal = refusal;
    this.#isHeld = false;
    this.#isWithout = false;
    permit.refuse(part, refusal);
    return false;
  }

  #refuseUntilMended(reason: string, message: string, cause: unknown): false {
    return this.#refuse(new SocleError("unavailable", reason, message, { cause }));
  }

  async #take(): Promise<boolean> {
    const found = await this.#secrets.find();
    this.#firstFound ??= found?.record === undefined ? "" : writeOf(found.record);
    if (found === undefined || this.#isMine(found)) return await this.#establish(found);
    if ((await this.#isOver(found)) === undefined) return this.#refuseFor(found);
    return await this.#succession.alone(
      (requireAlone) => this.#succeed(requireAlone),
      (refusal) => this.#unwritten(refusal),
    );
  }

  /** Takes over from a holder that is over, while no other agent does. */
  async #succeed(requireAlone: () => void): Promise<boolean> {
    const found = await this.#secrets.find();
    if (found === undefined || this.#isMine(found)) return await this.#establish(found);
    const over = await this.#isOver(found);
    if (over === undefined) return this.#refuseFor(found);
    if (found.record !== undefined && !(await this.#follow(found.record))) return false;
    requireAlone();
    // In its place: were it removed first and libvirt refused the new one, the mark in it would be lost.
    if (over === "ended") return await this.#establish(found);
    // It may still write, which libvirt refuses once another secret has the usage.
    await this.#secrets.remove(found.secret);
    return await this.#establish(undefined);
  }

  /** In the place of `before`. Else with a uuid that no other agent writes: of two that do that, libvirt refuses one. */
  async #establish(before: FoundLease | undefined): Promise<boolean> {
    this.#uuid = before?.secret.uuid ?? randomUUID();
    try {
      await this.#define(false);
    } catch (thrown) {
      const now = await this.#secrets.find();
      if (now === undefined && this.#isHeld) throw thrown;
      if (now === undefined) return this.#unwritten(thrown);
      if (!this.#isMine(now))
        return now.secret.uuid === this.#uuid ? this.#unwritten(thrown) : this.#refuseFor(now);
      this.#uuid = now.secret.uuid;
    }
    this.#options.log.info({ lease: this.#uuid }, "this agent holds the lease of its libvirt");
    this.#allow("held");
    return true;
  }

  async #keep(): Promise<boolean> {
    const found = await this.#secrets.find();
    if (found === undefined) return await this.#take();
    if (!this.#isMine(found)) return this.#refuseFor(found);
    this.#uuid = found.secret.uuid;
    // A write that timed out may have come after a later one.
    if (found.record !== undefined && this.#isOutdated(found.record)) this.#isBehind = true;
    return true;
  }

  #isOutdated(lease: Lease): boolean {
    const { watermark, controlFence } = this.#options;
    return lease.watermark < watermark.value || !isSameFence(fenceOf(lease), controlFence());
  }

  #isMine({ record }: FoundLease): boolean {
    return record?.holder === this.#holder;
  }

  /** The lease of the holder before stays, and with it what it knows: no change before libvirt takes the new one. */
  #unwritten(thrown: unknown): false {
    const why = toSocleError(thrown).message;
    return this.#refuseUntilMended(
      "LEASE_UNWRITABLE",
      `${this.#options.uri} refuses to write the agent's lease (${why}): changes are refused; see libvirt's log, and the disk of its secrets`,
      thrown,
    );
  }

  /** False: what the holder before had come to could not be written down, so it must not be forgotten. */
  async #follow(lease: Lease): Promise<boolean> {
    const { stateId, agentEpoch, watermark, revocationLists } = lease;
    const own = this.#options;
    const isOwn = stateId === own.stateId;
    const isBeforeThisRun = writeOf(lease) === this.#firstFound;
    const isAhead = !isOwn || agentEpoch >= own.agentEpoch() || watermark > own.watermark.value;
    try {
      const origin = { isOwn, isBeforeThisRun, isAhead };
      await own.onFollow({ agentEpoch, watermark, controlFence: fenceOf(lease), revocationLists, ...origin });
      return true;
    } catch (thrown) {
      const { reason, message: why } = toSocleError(thrown);
      if (reason === "STATE_UNREADABLE") return this.#refuseUntilMended(reason, unread(own.uri), thrown);
      return this.#refuseUntilMended(
        "STATE_UNWRITABLE",
        `what the agent before did cannot be written down (${why}): changes are refused; check the disk of ${own.stateDirectory}`,
        thrown,
      );
    }
  }

  /** How the holder was found to be over. Undefined: it may live. */
  async #isOver({ secret: { uuid }, record: lease }: FoundLease): Promise<"ended" | "silent" | undefined> {
    if (lease === undefined) return undefined;
    if (lease.released || (await hasEnded(lease.process))) return "ended";
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#seen?.uuid !== uuid || this.#seen.beat !== lease.beat)
      this.#seen = { uuid, beat: lease.beat, sinceMs: nowMs };
    const isSilent = lease.stateId === this.#options.stateId && nowMs - this.#seen.sinceMs >= SILENT_MS;
    return isSilent ? "silent" : undefined;
  }

  #refuseFor(found: FoundLease): false {
    return this.#refuse(inUse(this.#options.uri, found));
  }

  /** Refused by libvirt where another has the usage. */
  async #define(released: boolean, timeoutMs?: number): Promise<void> {
    const { stateId, stateDirectory, agentEpoch, watermark, controlFence, revocationLists } = this.#options;
    const { epoch, resets } = controlFence();
    const lease: Lease = {
      socle: "lease",
      stateId,
      stateDirectory,
      holder: this.#holder,
      agentEpoch: agentEpoch(),
      process: (this.#process ??= await ownIdentity()),
      beat: (this.#beat += 1),
      watermark: watermark.value,
      controlEpoch: epoch,
      controlEpochResets: resets,
      revocationLists: revocationLists(),
      released,
    };
    await this.#secrets.define(this.#uuid, lease, timeoutMs);
  }
}
