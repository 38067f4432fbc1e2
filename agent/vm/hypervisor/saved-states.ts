import type { Clock } from "../../kernel/clock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import { Certainty, type LibvirtCalls } from "./certainty.ts";
import { filesOf } from "./define-file.ts";
import { AHEAD, reference } from "./stamps.ts";
import { parseVmDomain } from "../model/vm-domain.ts";

/** A disk that is slower than this is broken. */
const LEAST_BYTES_PER_MS = 20_000;
const LEAST_WAIT_MS = 60_000;

/** Settings of a call that writes or reads a VM's whole memory. */
export const memoryTransfer = (memoryBytes: number) =>
  ({ lane: "slow", timeoutMs: LEAST_WAIT_MS + Math.ceil(memoryBytes / LEAST_BYTES_PER_MS) }) as const;

/** The memory of stopped VMs on the host's disk: libvirt's managed save images. */
export class SavedStates {
  readonly #libvirt: LibvirtCalls;
  readonly #certainty: Certainty;

  constructor(calls: LibvirtCalls, clock: Clock) {
    this.#libvirt = calls;
    this.#certainty = new Certainty(calls, clock);
  }

  /** Also true for a part of an image, which a libvirt leaves that is killed while it saves. */
  async exists(id: string): Promise<boolean> {
    const args = { dom: reference(id), flags: 0 };
    return (await this.#libvirt.call(libvirt.domainHasManagedSaveImage, args, AHEAD)).result;
  }

  /** Whether libvirt accepts the image's header. It marks the header only once all memory is written. */
  async isWhole(id: string): Promise<boolean> {
    return (await this.exists(id)) && (await this.#xml(id)) !== undefined;
  }

  /** The files of the guest's disks as it was saved, by alias; none of an image that libvirt does not accept. Its memory fits these alone. */
  async files(id: string): Promise<ReadonlyMap<string, string>> {
    const xml = await this.#xml(id);
    return filesOf(xml === undefined ? undefined : parseVmDomain(xml));
  }

  /** Of the guest as it was saved; undefined if libvirt does not accept the image's header. */
  async #xml(id: string): Promise<string | undefined> {
    const args = { dom: reference(id), flags: 0 };
    try {
      return (await this.#libvirt.call(libvirt.domainManagedSaveGetXmlDesc, args)).xml;
    } catch (thrown) {
      if (toSocleError(thrown).kind !== "internal") throw thrown;
      return undefined;
    }
  }

  /**
   * Saves a VM's memory and stops the VM. `isSaved` is asked after a lost reply: undefined while libvirt saves. Throws
   * libvirt's refusals, `unavailable` EFFECT_NOT_OBSERVED if it is not saved, and `outcome_unknown`.
   */
  async save(id: string, memoryBytes: number, isSaved: () => Promise<boolean | undefined>): Promise<void> {
    const args = { dom: reference(id), flags: 0 };
    const save = (): Promise<unknown> =>
      this.#libvirt.call(libvirt.domainManagedSave, args, memoryTransfer(memoryBytes));
    await this.#certainty.ensure(save, isSaved, "once");
  }

  /** Also succeeds if there is none. Call only for a VM that is not being saved: libvirt does not check that. */
  async remove(id: string): Promise<void> {
    const isGone = async (): Promise<boolean> => !(await this.exists(id));
    const remove = async (): Promise<void> => {
      if (await isGone()) return;
      await this.#libvirt.call(libvirt.domainManagedSaveRemove, { dom: reference(id), flags: 0 });
    };
    await this.#certainty.ensure(remove, isGone);
  }
}
