import type { Clock } from "../../kernel/clock.ts";
import { ifPresent, SocleError, toSocleError } from "../../kernel/errors.ts";
import { Mutex } from "../../kernel/concurrency/mutex.ts";
import type { Accelerator } from "../../contract/spec.ts";
import * as libvirt from "../../libvirt/index.ts";
import {
  editDomain,
  parseDomainCapabilities,
  withOverlays,
  type DomainEdits,
} from "../../libvirt/xml/index.ts";
import { Certainty, type DomainCalls } from "./certainty.ts";
import { isActive, stateOf } from "./domain-state.ts";
import { DomainBackups } from "./domain-backups.ts";
import { DomainDevices } from "./domain-devices.ts";
import { DomainLayers } from "./domain-layers.ts";
import { DomainMedia } from "./domain-media.ts";
import { DomainSizes } from "./domain-sizes.ts";
import { startFaultOf, type Culprit } from "./start-fault.ts";
import { Freezes } from "./freezes.ts";
import { GuestAgents } from "./guest-agents.ts";
import { MemoryDumps } from "./memory-dumps.ts";
import { MemorySnapshots, type RestoredMemory } from "./memory-snapshots.ts";
import { SavedStates } from "./saved-states.ts";
import { AHEAD, reference, Stamps } from "./stamps.ts";
import type { VmState } from "../model/vm.ts";
import {
  buildVmDomain,
  buildVmMetadata,
  parseVmDomain,
  vmMetadata,
  type VmDomain,
  type VmMetadata,
} from "../model/vm-domain.ts";

export type { DomainCalls } from "./certainty.ts";
export { isActive } from "./domain-state.ts";

const JOB_WAIT_MS = 5000;
/** Two texts for each of the operations that run at once. */
const MOST_PARSED = 64;

export const libvirtStartPaused = libvirt.DomainCreateFlags.START_PAUSED;

/** Receives the results of starts, which show whether this host can start VMs. */
interface StartVerdicts {
  reportStartFailure(failure: Culprit & { readonly fault: "host" | "unclear"; readonly why: string }): void;
  reportStartSuccess(vmId: string): void;
}

/** libvirt's domains, one method per call. Addressed by id (UUID) only. */
export class Domains {
  readonly #libvirt: DomainCalls;
  readonly #certainty: Certainty;
  readonly stamps: Stamps;
  readonly devices: DomainDevices;
  readonly layers: DomainLayers;
  readonly media: DomainMedia;
  readonly sizes: DomainSizes;
  readonly savedStates: SavedStates;
  readonly memoryDumps: MemoryDumps;
  readonly memorySnapshots: MemorySnapshots;
  readonly guestAgents: GuestAgents;
  readonly backups: DomainBackups;
  readonly freezes: Freezes;
  readonly #verdicts: StartVerdicts | undefined;
  /**
   * libxml2 initializes its schema types without a lock at the first document (xmlSchemaInitTypes): of two concurrent
   * documents in a new libvirtd, one may be refused for missing types. The queue is as long as the client's own.
   */
  readonly #validation = new Mutex(8192, "libvirt to validate");
  /** By VM and kind of document. Parsing takes a millisecond, and most reads of an operation find the text unchanged. */
  readonly #parsed = new Map<string, { readonly xml: string; readonly document: VmDomain }>();

  constructor(calls: DomainCalls, clock: Clock, verdicts?: StartVerdicts) {
    this.#libvirt = calls;
    this.#certainty = new Certainty(calls, clock);
    this.stamps = new Stamps(calls, clock);
    this.devices = new DomainDevices(calls, clock, this);
    this.layers = new DomainLayers(calls, clock, this);
    this.media = new DomainMedia(calls, clock, this);
    this.sizes = new DomainSizes(calls, clock, this);
    this.savedStates = new SavedStates(calls, clock);
    this.memoryDumps = new MemoryDumps(calls, clock);
    this.memorySnapshots = new MemorySnapshots(calls, clock, this);
    this.guestAgents = new GuestAgents(calls, clock);
    this.backups = new DomainBackups(calls, clock, this);
    this.freezes = new Freezes(calls, clock, this.guestAgents);
    this.#verdicts = verdicts;
  }

  /** Undefined: libvirt reports that the domain does not exist. */
  async state(id: string): Promise<{ state: VmState; stateReason: string } | undefined> {
    return await orGone(async () => {
      const args = { dom: reference(id), flags: 0 };
      const { state, reason } = await this.#libvirt.call(libvirt.domainGetState, args, AHEAD);
      return stateOf(state, reason);
    });
  }

  async document(id: string, as: "defined" | "running" = "defined"): Promise<VmDomain | undefined> {
    return await orGone(async () => {
      const flags = as === "defined" ? libvirt.DomainXMLFlags.INACTIVE : 0;
      return this.#parse(`${id} ${as}`, await this.#domain(id).xml({ flags }));
    });
  }

  #parse(key: string, xml: string): VmDomain {
    const known = this.#parsed.get(key);
    const document = known?.xml === xml ? known.document : parseVmDomain(xml);
    // The newest last.
    this.#parsed.delete(key);
    this.#parsed.set(key, { xml, document });
    const [oldest] = this.#parsed.keys();
    if (this.#parsed.size > MOST_PARSED && oldest !== undefined) this.#parsed.delete(oldest);
    return document;
  }

  /**
   * Its state once all earlier calls to libvirt have taken effect, also those of an agent that has died. Throws
   * `outcome_unknown` after a minute.
   */
  async settledState(id: string): Promise<{ state: VmState; stateReason: string } | undefined> {
    await this.#certainty.quiet();
    return await this.restingState(id);
  }

  /** Its state, once it neither starts nor shuts down. Throws as `settledState` does. */
  async restingState(id: string): Promise<{ state: VmState; stateReason: string } | undefined> {
    const rest = (): ReturnType<Domains["state"]> =>
      this.#certainty.once(
        () => this.state(id),
        (seen) => !isInTransition(seen),
      );
    const seen = await rest();
    if (!isActive(seen)) return seen;
    // A guest that hangs may keep a job: its state is as certain as it can be.
    await this.#untilJobless(id).catch(() => undefined);
    return await rest();
  }

  /** Its state, once a start in progress has succeeded or failed. Throws as `settledState` does. */
  async steadyState(id: string): Promise<{ state: VmState; stateReason: string } | undefined> {
    return await this.#certainty.once(
      () => this.state(id),
      (seen) => !isStarting(seen),
    );
  }

  /** Does nothing if the domain is defined already. libvirt refuses a name that another domain has. */
  async define(document: VmDomain): Promise<void> {
    const args = { xml: buildVmDomain(document), flags: libvirt.DomainDefineFlags.VALIDATE };
    await this.#certainty.ensure(
      () => this.#validation.run(() => this.#libvirt.call(libvirt.domainDefineXmlFlags, args)),
      async () => (await this.state(document.uuid)) !== undefined,
    );
  }

  /** The CPU models that this host can give a guest under the accelerator. */
  async cpuModels(accelerator: Accelerator): Promise<readonly string[]> {
    const virttype = accelerator === "kvm" ? "kvm" : "qemu";
    const args = { emulatorbin: null, arch: null, machine: null, virttype, flags: 0 };
    const { capabilities } = await this.#libvirt.call(libvirt.connectGetDomainCapabilities, args);
    const { customModels } = parseDomainCapabilities(capabilities).cpu;
    return customModels.filter(({ usable }) => usable !== false).map(({ name }) => name);
  }

  /** The text of what the next start uses, with its secrets. */
  async definition(id: string): Promise<string> {
    const { SECURE, INACTIVE } = libvirt.DomainXMLFlags;
    return await this.#domain(id).xml({ flags: SECURE | INACTIVE });
  }

  /** Changes parts of the definition that the next start uses. Throws libvirt's refusals: then nothing has changed. */
  async redefine(id: string, edits: DomainEdits): Promise<void> {
    await this.#rewrite(id, (xml) => editDomain(xml, edits));
  }

  /** The next start uses these qcow2 files as its disks, by alias: all of them, or none. Throws as `redefine`. */
  async redefineFiles(id: string, files: ReadonlyMap<string, string>): Promise<void> {
    await this.#rewrite(id, (xml) => withOverlays(xml, files));
  }

  async #rewrite(id: string, change: (xml: string) => string): Promise<void> {
    await this.#certainty.ensure(async () => {
      const before = await this.definition(id);
      const xml = change(before);
      if (xml === before) return;
      const args = { xml, flags: libvirt.DomainDefineFlags.VALIDATE };
      await this.#validation.run(() => this.#libvirt.call(libvirt.domainDefineXmlFlags, args));
    });
  }

  /**
   * Also succeeds if the domain does not exist. A running VM is gone only after its end. `isThere`: whether the
   * intended domain still exists; after a lost reply its id may belong to another.
   */
  async undefine(id: string, isThere: () => Promise<boolean>): Promise<void> {
    const { MANAGED_SAVE, SNAPSHOTS_METADATA, CHECKPOINTS_METADATA, NVRAM, TPM } =
      libvirt.DomainUndefineFlagsValues;
    const flags = MANAGED_SAVE | SNAPSHOTS_METADATA | CHECKPOINTS_METADATA | NVRAM | TPM;
    await this.#certainty.ensure(
      () => orGone(() => this.#domain(id).undefine({ flags })),
      async () => !(await isThere()),
    );
  }

  /**
   * Also succeeds if it runs already. `culprit`: the possible cause of a failure, beside the host. `from`: another document than
   * its definition, which stays as it is. `memory`: it continues from that.
   */
  async start(
    id: string,
    culprit: Culprit = { vmId: id, tenant: "", image: id },
    {
      from,
      memory,
      ...settings
    }: libvirt.CallSettings & {
      readonly flags?: number;
      readonly from?: VmDomain;
      readonly memory?: RestoredMemory;
    } = {},
  ): Promise<void> {
    const look = async (): Promise<boolean | undefined> => {
      const seen = await this.state(id);
      return isInTransition(seen) ? undefined : isActive(seen);
    };
    const runs = async (): Promise<boolean | undefined> => {
      const isSeen = await look();
      if (isSeen !== true) return isSeen;
      await this.#untilJobless(id);
      return await look();
    };
    const create = async (): Promise<void> => {
      if (memory !== undefined) await this.memorySnapshots.restore(memory, settings);
      else if (from === undefined) await this.#domain(id).start(settings);
      else await this.#libvirt.call(libvirt.domainCreateXml, { xmlDesc: buildVmDomain(from), flags: 0 });
    };
    try {
      // A guest that another client has started does not continue from the memory.
      const ask = memory === undefined ? () => unlessAlready(runs, create) : create;
      await this.#certainty.ensure(ask, runs, "once");
    } catch (thrown) {
      const error = toSocleError(thrown);
      const fault = startFaultOf(error);
      if (fault !== "vm") this.#verdicts?.reportStartFailure({ ...culprit, fault, why: error.message });
      throw thrown;
    }
    this.#verdicts?.reportStartSuccess(id);
  }

  /**
   * Powers the VM off. Also succeeds if it is off already. `isOver`: whether the intended run has ended; after a lost
   * reply the VM may be in a later run. `requireWanted` is called before each attempt (a lost reply causes another
   * one), and throws to stop the attempts.
   */
  async destroy(
    id: string,
    {
      isOver: isOff = async () => !isActive(await this.state(id)),
      requireWanted = () => undefined,
    }: { readonly isOver?: () => Promise<boolean>; readonly requireWanted?: () => void } = {},
  ): Promise<void> {
    const pull = (): Promise<void> => {
      requireWanted();
      return this.#domain(id).destroy(AHEAD);
    };
    await this.#certainty.ensure(() => unlessAlready(isOff, () => orGone(pull)), isOff);
  }

  /** Requests a shutdown of the guest, through its agent if connected, else through ACPI. */
  async shutdown(id: string): Promise<void> {
    await this.#asked(() => this.#domain(id).shutdown(AHEAD));
  }

  async reboot(id: string): Promise<void> {
    await this.#asked(() => this.#domain(id).reboot());
  }

  async reset(id: string): Promise<void> {
    await this.#domain(id).reset();
  }

  async injectNmi(id: string): Promise<void> {
    await this.#libvirt.call(libvirt.domainInjectNmi, { dom: reference(id), flags: 0 });
  }

  async suspend(id: string): Promise<void> {
    await this.#certainty.ensure(
      () => this.#domain(id).suspend(),
      async () => (await this.state(id))?.state === "paused",
    );
  }

  async resume(id: string): Promise<void> {
    await this.#certainty.ensure(
      () => this.#domain(id).resume(),
      async () => (await this.state(id))?.state === "running",
    );
  }

  async setAutostart(id: string, on: boolean): Promise<void> {
    await this.#domain(id).setAutostart(on);
  }

  /** Writes Socle's metadata into the domain, live and persistent. */
  async setMetadata(id: string, metadata: VmMetadata, active: boolean): Promise<void> {
    const { uri, key } = vmMetadata;
    const { LIVE, CONFIG } = libvirt.DomainModificationImpact;
    const set = (flags: number): Promise<void> =>
      this.#domain(id).setMetadata(buildVmMetadata(metadata), { uri, key, flags });
    try {
      await set(active ? LIVE | CONFIG : CONFIG);
    } catch (thrown) {
      const hasEnded =
        active &&
        toSocleError(thrown).reason === "LIBVIRT_OPERATION_INVALID" &&
        !isActive(await this.state(id));
      if (!hasEnded) throw thrown;
      await set(CONFIG);
    }
  }

  /** The guest's serial console. Without `force`, throws `conflict` CONSOLE_IN_USE while it has a holder. */
  async console(id: string, force: boolean, signal: AbortSignal): Promise<libvirt.LibvirtStream> {
    const flags = force ? libvirt.DomainConsoleFlags.FORCE : libvirt.DomainConsoleFlags.SAFE;
    try {
      return await this.#domain(id).openConsole({ flags, signal });
    } catch (thrown) {
      // libvirt has no error number of its own for a refusal by SAFE; all other failures here have another one.
      if (force || toSocleError(thrown).reason !== "LIBVIRT_OPERATION_FAILED") throw thrown;
      const message = "another client holds this VM's console; take it over with force";
      throw new SocleError("conflict", "CONSOLE_IN_USE", message, { cause: thrown });
    }
  }

  /**
   * Resolves once libvirt has no job on the domain, which this call waits for; it does not ask QEMU. A restarted libvirt has a
   * job on each active domain until it is connected to its QEMU. It may show the domain as running meanwhile, and then end a
   * QEMU whose start its predecessor did not complete.
   */
  async #untilJobless(id: string): Promise<void> {
    const settings = { ...AHEAD, timeoutMs: JOB_WAIT_MS };
    await this.#libvirt.call(libvirt.domainGetPerfEvents, { dom: reference(id), flags: 0 }, settings);
  }

  #domain(id: string): libvirt.LibvirtDomain {
    return new libvirt.LibvirtDomain(this.#libvirt, reference(id));
  }

  /** A request to the guest. It may be sent twice, so a lost reply counts as sent. */
  async #asked(ask: () => Promise<unknown>): Promise<void> {
    try {
      await ask();
    } catch (thrown) {
      if (toSocleError(thrown).kind !== "outcome_unknown") throw thrown;
    }
  }
}

/** libvirt is starting it: the start may still fail. */
const isStarting = (seen: { stateReason: string } | undefined): boolean =>
  seen?.stateReason === "STARTING_UP";

/**
 * The start has neither succeeded nor failed yet. A restarted libvirt ends a QEMU whose start its predecessor did not
 * complete; meanwhile the domain is shutting down, as one that ran would be.
 */
const isInTransition = (seen: { state: VmState; stateReason: string } | undefined): boolean =>
  isStarting(seen) || seen?.state === "stopping";

const orGone = <T>(call: () => Promise<T>): Promise<T | undefined> => ifPresent("LIBVIRT_NO_DOMAIN", call);

/** Treats libvirt's refusal as success if the domain is in the wanted state already. */
async function unlessAlready(
  is: () => Promise<boolean | undefined>,
  call: () => Promise<unknown>,
): Promise<void> {
  try {
    await call();
  } catch (thrown) {
    if (toSocleError(thrown).kind !== "conflict" || (await is()) !== true) throw thrown;
  }
}
