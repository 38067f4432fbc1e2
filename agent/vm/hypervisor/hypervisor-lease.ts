import { randomUUID } from "node:crypto";
import { Mutex } from "../../kernel/concurrency/mutex.ts";
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

interface HypervisorLeaseOptions {
  readonly libvirt: LibvirtCalls & Pick<libvirt.Libvirt, "events" | "changes">;
  readonly uri: string;
  readonly stateDirectory: string;
  /** Id of the state directory: an agent that continues the holder's state may take over the lease. */
  readonly stateId: string;
  readonly agentEpoch: () => number;
  /** The durable control fence. */
  readonly controlFence: () => ControlFence;
  /** `Trust.listTimes`. */
  readonly revocationLists: () => Lease["revocationLists"];
  readonly watermark: Pick<Watermark, "value" | "publishBy" | "raise">;
  /** Called before the lease is taken over. If it rejects, the lease is not taken. */
  readonly onFollow: (before: HolderBefore) => Promise<void>;
  readonly permit: Permit;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The last known state of the previous lease holder. */
export interface HolderBefore extends FenceOrigin {
  readonly agentEpoch: number;
  readonly watermark: number;
  readonly controlFence: ControlFence;
  readonly revocationLists: Lease["revocationLists"];
  /** The holder's state is newer than this state directory. */
  readonly isAhead: boolean;
}

const usage = "socle-agent-lease";
const part = "lease";
const LOOK_EVERY_MS = 3000;
const LOOKS_PER_BEAT = 5;
/** After this long without a beat, an agent with the same state in another PID namespace has ended. */
const SILENT_MS = 60_000;
/** An operation waits for the publication, so it has a timeout of its own. */
const PUBLISH_MS = 5000;
const PUBLISH_CALL_MS = 2000;
const PUBLISH_TRIES = 2;

/**
 * Only the agent that holds this lease changes VMs in a libvirt. The lease is a libvirt secret without a value, which
 * all agents of that libvirt share, in any namespace and with any state directory. An agent succeeds an ended holder at
 * once if it can see the end (same PID namespace, in this boot or a later one). Otherwise an agent with the same state
 * succeeds it after a minute without a beat, and other agents once a person removed the secret. One agent at a time
 * succeeds (LeaseSuccession). The lease carries the watermark of its holder's state, which reveals an older copy, and
 * the control epoch, which an older copy must not undercut.
 */
export class HypervisorLease implements Service {
  readonly name = "hypervisor lease";
  /** Readiness does not depend on libvirt: changes are refused until it has answered. */
  readonly readyWithinMs = 500;
  readonly #options: HypervisorLeaseOptions;
  readonly #holder = randomUUID();
  readonly #secrets: UniqueSecret<typeof leaseSchema>;
  readonly #succession: LeaseSuccession;
  /** Cached identity of this process. */
  #process: ProcessIdentity | undefined;
  /** Of the secret that this agent writes. */
  #uuid: string = randomUUID();
  /** Why the lease is not held, if libvirt or another agent is the cause. */
  #refusal: SocleError | undefined;
  #isHeld = false;
  /** libvirt has not taken the newest watermark yet. */
  #isBehind = false;
  /** Reads and writes of the lease run one at a time. */
  readonly #mutex = new Mutex();
  #wake: () => void = () => undefined;
  /** This libvirt has no secrets: the agent works without the lease. */
  #isWithout = false;
  #beat = 0;
  /** The holder's newest beat, and when it was first seen. */
  #seen: { readonly uuid: string; readonly beat: number; readonly sinceMs: number } | undefined;
  /** The write of the lease that this process found first; "" for none. */
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

  /** Another agent holds the lease, or libvirt refuses to read it. */
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
        await this.#mutex.run(() => this.#look());
      } catch (thrown) {
        this.#unanswered(toSocleError(thrown));
      }
      ready();
      await this.#pause(signal);
    }
    if (!this.#isHeld) return;
    await watermark.raise().catch(() => undefined);
    this.#isHeld = false;
    await this.#mutex.run(() => this.#define(true)).catch(() => undefined);
  }

  /** Rejects with libvirt's errors only. */
  async #raise(): Promise<void> {
    try {
      await this.#options.watermark.raise();
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (!error.reason.startsWith("STATE_")) throw error;
      this.#options.log.debug({ err: error }, "the watermark of the state cannot be raised");
    }
  }

  /** Waits until the next look is due or requested. */
  async #pause(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const pause = new AbortController();
    this.#wake = () => pause.abort();
    await this.#options.clock.sleep(LOOK_EVERY_MS, pause.signal).catch(() => undefined);
  }

  /** Looks at once when another client changes or removes the lease. */
  async #followEvents(signal: AbortSignal): Promise<void> {
    for await (const item of this.#options.libvirt.events.subscribe(signal)) {
      const event = item.kind === "overflow" ? undefined : item.value;
      if (event?.kind !== "secret" || event.secret.usageId !== usage) continue;
      if (event.secret.uuid !== this.#uuid || event.event === "undefined") this.#wake();
    }
  }

  /** Changes are refused until libvirt has answered; looks as soon as it is connected. */
  async #followConnection(signal: AbortSignal): Promise<void> {
    for await (const item of this.#options.libvirt.changes.subscribe(signal))
      if (item.kind === "overflow" || item.value.kind === "connected") this.#wake();
  }

  async #look(): Promise<void> {
    this.#isHeld = this.#isHeld ? await this.#keep() : await this.#take();
  }

  /**
   * Writes the watermark into the lease. False: libvirt refuses, or another agent has the lease; changes are refused by
   * then. Rejects if libvirt does not answer in time, and before the first look.
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
      this.#mutex.run(() =>
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

  /** An agent that another one keeps out stays out, and the holder continues. Otherwise changes wait for libvirt. */
  #unanswered(error: SocleError): void {
    const { log, uri } = this.#options;
    if (isOfTheConnection(error) || this.#isHeld || this.#isWithout || this.#isOthers) {
      log.debug({ err: error }, "the agent's lease cannot be read from libvirt");
    } else if (error.reason === "LIBVIRT_NO_SUPPORT") {
      log.warn(
        { err: error },
        "libvirt has no secrets, so this agent has no lease: make sure that no other agent uses this libvirt",
      );
      this.#allow("without");
    } else {
      this.#refuseUntilMended(
        "LEASE_UNREADABLE",
        `${uri} does not show whether another agent uses it (${error.message}): changes are refused; check that its secrets ` +
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

  /** Takes over from a holder that has ended, while no other agent does. */
  async #succeed(requireAlone: () => void): Promise<boolean> {
    const found = await this.#secrets.find();
    if (found === undefined || this.#isMine(found)) return await this.#establish(found);
    const over = await this.#isOver(found);
    if (over === undefined) return this.#refuseFor(found);
    if (found.record !== undefined && !(await this.#follow(found.record))) return false;
    requireAlone();
    // Replaces it in place: if it were removed first and libvirt refused the new one, its watermark would be lost.
    if (over === "ended") return await this.#establish(found);
    // The old holder may still write; libvirt refuses that once another secret has the usage.
    await this.#secrets.remove(found.secret);
    return await this.#establish(undefined);
  }

  /** Replaces `before`, or writes a secret with a new uuid: of two agents that do so, libvirt refuses one. */
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
    // A write that timed out may have arrived after a later one.
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

  /** Keeps the previous holder's lease and its watermark: changes are refused until libvirt takes the new one. */
  #unwritten(thrown: unknown): false {
    const why = toSocleError(thrown).message;
    return this.#refuseUntilMended(
      "LEASE_UNWRITABLE",
      `${this.#options.uri} refuses to write the agent's lease (${why}): changes are refused; check libvirt's log and the disk of its secrets`,
      thrown,
    );
  }

  /** False: the previous holder's state could not be recorded here, so its lease must stay. */
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
        `the state of the previous agent cannot be recorded (${why}): changes are refused; check the disk of ${own.stateDirectory}`,
        thrown,
      );
    }
  }

  /** How the holder was found to have ended. Undefined: it may live. */
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

  /** libvirt refuses it if another secret has the usage. */
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
