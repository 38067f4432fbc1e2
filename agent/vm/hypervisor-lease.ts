import { randomUUID } from "node:crypto";
import * as z from "zod";
import type { Clock } from "../kernel/clock.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { hasEnded, processIdentity } from "../kernel/process-identity.ts";
import type { Service } from "../kernel/service.ts";
import * as libvirt from "../libvirt/index.ts";
import { buildSecret, parseSecret } from "../libvirt/xml/index.ts";
import type { Permit } from "../state/permit.ts";
import type { LibvirtCalls } from "./certainty.ts";

export interface HypervisorLeaseOptions {
  readonly libvirt: LibvirtCalls;
  readonly uri: string;
  readonly stateDirectory: string;
  /** Of the state directory: an agent that goes on with the state of the holder may take over from it. */
  readonly stateId: string;
  readonly agentEpoch: () => number;
  /** The holder before had this epoch, which is not below this agent's; `isOwn`: it had this state directory. */
  readonly onHigherEpoch: (epoch: number, isOwn: boolean) => Promise<void>;
  readonly permit: Permit;
  readonly clock: Clock;
  readonly log: Logger;
}

const leaseSchema = z.looseObject({
  socle: z.literal("lease"),
  stateId: z.string(),
  stateDirectory: z.string(),
  agentEpoch: z.number().int().min(0),
  process: z.object({ pid: z.number(), start: z.string(), bootId: z.string(), namespace: z.string() }),
  /** Counts up while the holder lives. */
  beat: z.number().int().min(0),
  /** The holder stopped in good order. */
  released: z.boolean(),
});
type Lease = z.output<typeof leaseSchema>;

interface Found {
  readonly secret: libvirt.Secret;
  /** Undefined: it is none that this version knows. */
  readonly lease: Lease | undefined;
}

/** The usage is unique in libvirt: only one secret, so only one agent, can have it. */
const usage = { type: "tls", id: "socle-agent-lease" } as const;
const part = "lease";
const LOOK_EVERY_MS = 3000;
const LOOKS_PER_BEAT = 5;
/** So long without a beat, an agent with the same state in another PID namespace has ended. */
const SILENT_MS = 60_000;
const CALL_MS = 10_000;

/**
 * One agent changes things in a libvirt: the one that holds this lease, which is a libvirt secret without a value. It holds for
 * all who reach that libvirt, from whatever namespace and with whatever state directory. A holder that ended is followed at
 * once where that can be seen (same boot and PID namespace, or another boot); where it cannot, by an agent with the same
 * state after a minute without a beat, and by others once a person removed the secret. What ended is told by the boot id: the agent
 * runs on the machine of its libvirt.
 */
export class HypervisorLease implements Service {
  readonly name = "hypervisor lease";
  /** Readiness does not hang on libvirt: changes are refused until it has answered. */
  readonly readyWithinMs = 500;
  readonly #options: HypervisorLeaseOptions;
  readonly #uuid = randomUUID();
  #failure: SocleError | undefined;
  /** This agent goes on without the lease, and keeps asking for it. */
  #isWithout = false;
  #beat = 0;
  /** Of the holder: its newest beat, and since when it is that. */
  #seen: { readonly uuid: string; readonly beat: number; readonly sinceMs: number } | undefined;

  constructor(options: HypervisorLeaseOptions) {
    this.#options = options;
    options.permit.refuse(part, notAskedYet());
  }

  /** Another agent holds it. */
  get failure(): SocleError | undefined {
    return this.#failure;
  }

  tryAgain(): Promise<void> {
    return Promise.resolve();
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { clock, log } = this.#options;
    let isHeld = false;
    for (let looks = 0; !signal.aborted; looks += 1) {
      try {
        const isBeat = looks % LOOKS_PER_BEAT === 0;
        isHeld = isHeld ? await this.#keep(isBeat) : await this.#take();
      } catch (thrown) {
        const error = toSocleError(thrown);
        if (isOfTheConnection(error))
          log.debug({ err: error }, "libvirt cannot be asked for the agent's lease");
        else this.#withoutLease(error, isHeld);
      }
      ready();
      await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
    }
    if (isHeld) await this.#define(true).catch(() => undefined);
  }

  /** libvirt has no secrets (its test driver), or does not let this agent have one now. Whom another one keeps out stays out. */
  #withoutLease(error: SocleError, isHeld: boolean): void {
    const { log, permit } = this.#options;
    if (isHeld || this.#isWithout || this.#failure !== undefined) {
      log.debug({ err: error }, "libvirt cannot be asked for the agent's lease");
      return;
    }
    this.#isWithout = true;
    log.warn(
      { err: error },
      "libvirt keeps no lease for this agent: see that no other agent uses this libvirt",
    );
    permit.allow(part);
  }

  async #take(): Promise<boolean> {
    const found = await this.#find();
    if (found !== undefined && found.secret.uuid !== this.#uuid) {
      if (!(await this.#isOver(found))) return this.#refuse(found);
      if (found.lease !== undefined) await this.#follow(found.lease);
      await this.#remove(found);
    }
    try {
      await this.#define(false);
    } catch (thrown) {
      const now = await this.#find();
      if (now === undefined) throw thrown;
      if (now.secret.uuid !== this.#uuid) return this.#refuse(now);
    }
    this.#options.log.info({ lease: this.#uuid }, "this agent holds the lease of its libvirt");
    this.#failure = undefined;
    this.#isWithout = false;
    this.#options.permit.allow(part);
    return true;
  }

  async #keep(isBeat: boolean): Promise<boolean> {
    const found = await this.#find();
    if (found === undefined) return await this.#take();
    if (found.secret.uuid !== this.#uuid) return this.#refuse(found);
    // Where libvirt's disk is full it stays as it is, and is held all the same.
    if (isBeat) await this.#define(false).catch(() => undefined);
    return true;
  }

  async #follow({ agentEpoch, stateId }: Lease): Promise<void> {
    if (agentEpoch < this.#options.agentEpoch()) return;
    await this.#options.onHigherEpoch(agentEpoch, stateId === this.#options.stateId);
  }

  async #isOver({ secret: { uuid }, lease }: Found): Promise<boolean> {
    if (lease === undefined) return false;
    if (lease.released || (await hasEnded(lease.process))) return true;
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#seen?.uuid !== uuid || this.#seen.beat !== lease.beat)
      this.#seen = { uuid, beat: lease.beat, sinceMs: nowMs };
    return lease.stateId === this.#options.stateId && nowMs - this.#seen.sinceMs >= SILENT_MS;
  }

  #refuse({ secret, lease }: Found): false {
    const { uri, permit, log } = this.#options;
    const holder =
      lease === undefined
        ? "an agent of another version"
        : `the agent with pid ${lease.process.pid} (PID namespace ${lease.process.namespace}) and state directory ${lease.stateDirectory}`;
    const message =
      `${uri} is driven by ${holder}: this agent changes nothing there. Stop that agent, and this one goes on by itself; ` +
      `where it is gone for good and that cannot be seen from here: virsh -c ${uri} secret-undefine ${secret.uuid}`;
    const details = { metadata: { lease: secret.uuid, state_directory: lease?.stateDirectory ?? "" } };
    const failure = new SocleError("conflict", "HYPERVISOR_IN_USE", message, { details });
    if (this.#failure === undefined) log.error(message);
    this.#failure = failure;
    this.#isWithout = false;
    permit.refuse(part, failure);
    return false;
  }

  async #find(): Promise<Found | undefined> {
    const usageType = libvirt.SecretUsage.TLS;
    try {
      const { secret } = await this.#call(libvirt.secretLookupByUsage, { usageType, usageId: usage.id });
      const { xml } = await this.#call(libvirt.secretGetXmlDesc, { secret, flags: 0 });
      return { secret, lease: leaseOf(parseSecret(xml).description) };
    } catch (thrown) {
      if (toSocleError(thrown).reason === "LIBVIRT_NO_SECRET") return undefined;
      throw thrown;
    }
  }

  /** Of this secret alone: who follows the same holder at the same time may have its own there by now. */
  async #remove({ secret }: Found): Promise<void> {
    try {
      await this.#call(libvirt.secretUndefine, { secret });
    } catch (thrown) {
      if (toSocleError(thrown).reason !== "LIBVIRT_NO_SECRET") throw thrown;
    }
  }

  /** Refused by libvirt where another has the usage. */
  async #define(released: boolean): Promise<void> {
    const { stateId, stateDirectory, agentEpoch } = this.#options;
    const own = await processIdentity();
    if (own === undefined) throw new Error("/proc does not show this process");
    const lease: Lease = {
      socle: "lease",
      stateId,
      stateDirectory,
      agentEpoch: agentEpoch(),
      process: own,
      beat: (this.#beat += 1),
      released,
    };
    const description = JSON.stringify(lease);
    const xml = buildSecret({ uuid: this.#uuid, private: true, description, usage });
    await this.#call(libvirt.secretDefineXml, { xml, flags: 0 });
  }

  #call<A, R>(procedure: libvirt.Procedure<A, R>, args: A): Promise<R> {
    return this.#options.libvirt.call(procedure, args, { timeoutMs: CALL_MS });
  }
}

function leaseOf(description: string | undefined): Lease | undefined {
  try {
    return leaseSchema.safeParse(JSON.parse(description ?? "")).data;
  } catch {
    return undefined;
  }
}

const isOfTheConnection = ({ kind }: SocleError): boolean =>
  ["unavailable", "timeout", "outcome_unknown", "exhausted", "cancelled"].includes(kind);

const notAskedYet = (): SocleError =>
  new SocleError(
    "unavailable",
    "LIBVIRT_UNAVAILABLE",
    "libvirt has not said yet whether another agent uses it; retry, and where that lasts see the agent's log",
    { details: { retryAfterMs: 2000 } },
  );
