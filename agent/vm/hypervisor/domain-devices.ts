import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../kernel/clock.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import {
  buildController,
  buildHostDevice,
  buildInterface,
  type Controller,
  type Disk,
  type DomainDevices as Devices,
  type Interface,
  ioTuneMembers,
  ioTuneNames,
  isSameIoTune,
  type IoTune,
} from "../../libvirt/xml/index.ts";
import { isActive } from "./domain-state.ts";
import { Certainty, type DomainCalls } from "./certainty.ts";
import { DomainNews } from "./domain-news.ts";
import { runningOf, type DomainReads } from "./domain-reads.ts";
import { AHEAD, reference } from "./stamps.ts";
import { ALIAS_PREFIX, deviceName, isGrowthAlias, pciAddressIn } from "../model/device-names.ts";
import { hasHostDevice, hostDevice } from "../model/host-devices.ts";
import { freePciePorts } from "../model/pcie-ports.ts";

/** Where a domain has a device: in the definition that its next start uses, and in the running guest. */
interface Presence {
  readonly isDefined: boolean;
  /** Undefined: no guest runs. */
  readonly isLive: boolean | undefined;
}

/** How long a guest may take to release a device before the request counts as refused. */
const RELEASE_WITHIN_MS = 15_000;
/**
 * How long a guest that was asked before may take to answer that request. libvirt 11.3 crashes if it asks QEMU again for a
 * device that QEMU has just removed (a use after free in qemuDomainDetachDeviceLive): it is not asked in that time.
 */
const ANSWER_WITHIN_MS = 7000;
const MOST_KEPT = 1000;
const FIRST_LOOK_MS = 5;
const LOOK_EVERY_MS = 250;
/** A command may keep QEMU busy for some seconds, as the opening of an encrypted disk does. */
const RESPONSIVE_WITHIN_MS = 10_000;
const { LIVE, CONFIG } = libvirt.DomainModificationImpact;

/**
 * The devices of a domain, named by their alias. libvirt's answers and events do not show whether a running guest has a
 * device: only its XML does.
 */
export class DomainDevices {
  readonly #libvirt: DomainCalls;
  readonly #clock: Clock;
  readonly #certainty: Certainty;
  readonly #reads: DomainReads;
  /** VM and alias of the devices that guests were asked to release, and have not released. */
  readonly #kept = new Set<string>();

  constructor(calls: DomainCalls, clock: Clock, reads: DomainReads) {
    this.#libvirt = calls;
    this.#clock = clock;
    this.#certainty = new Certainty(calls, clock);
    this.#reads = reads;
  }

  /**
   * Throws `unavailable` GUEST_UNRESPONSIVE if the QEMU process of a running guest does not answer libvirt: a change would
   * only wait for it.
   */
  async requireResponsive(id: string): Promise<void> {
    const deadlineMs = this.#clock.monotonicMs() + RESPONSIVE_WITHIN_MS;
    while (await this.#isOccupied(id)) {
      if (this.#clock.monotonicMs() >= deadlineMs) throw unresponsive();
      await this.#clock.sleep(LOOK_EVERY_MS);
    }
  }

  /** Whether libvirt waits for QEMU's answer to some client's command. */
  async #isOccupied(id: string): Promise<boolean> {
    if (!isActive(await this.#reads.state(id))) return false;
    try {
      const { state } = await this.#libvirt.call(
        libvirt.domainGetControlInfo,
        { dom: reference(id), flags: 0 },
        AHEAD,
      );
      return state === libvirt.DomainControlState.OCCUPIED;
    } catch (thrown) {
      // It has stopped meanwhile.
      if (toSocleError(thrown).kind === "conflict") return false;
      throw thrown;
    }
  }

  /** Throws `not_found` VM_NOT_FOUND if the domain is gone. */
  async where(id: string, alias: string): Promise<Presence> {
    const [defined, running] = await Promise.all([this.#defined(id), this.#running(id)]);
    if (defined === undefined)
      throw new SocleError("not_found", "VM_NOT_FOUND", `there is no VM ${id} on this host any more`);
    return {
      isDefined: hasAlias(defined, alias),
      isLive: running === undefined ? undefined : hasAlias(running, alias),
    };
  }

  /** The disk with this alias, as the running guest or else the definition has it. */
  async disk(id: string, alias: string): Promise<Disk | undefined> {
    for (const devices of await Promise.all([this.#running(id), this.#defined(id)])) {
      const disk = devices?.disks.find((each) => each.alias === alias);
      if (disk !== undefined) return disk;
    }
    return undefined;
  }

  /** The names of disk devices (vda, ...) that the definition and the running guest use. */
  async diskTargets(id: string): Promise<ReadonlySet<string>> {
    const both = await Promise.all([this.#defined(id), this.#running(id)]);
    return new Set(both.flatMap((devices) => devices?.disks.map(({ target }) => target.device) ?? []));
  }

  /**
   * Adds the device wherever it is missing: in the definition, and in a running guest. Throws `exhausted` NO_FREE_PORT if the
   * guest has no PCI port for it.
   */
  async attach(id: string, alias: string, xml: string): Promise<void> {
    const add = (): Promise<void> =>
      this.#steadily(id, async () => {
        const { isDefined, isLive } = await this.where(id, alias);
        const flags = (isDefined ? 0 : CONFIG) | (isLive === false ? LIVE : 0);
        if (flags === 0) return;
        await this.#libvirt.call(libvirt.domainAttachDeviceFlags, { dom: reference(id), xml, flags });
      }).catch(async (thrown: unknown) => {
        // libvirt has no error number of its own for it.
        if (toSocleError(thrown).reason === "LIBVIRT_INTERNAL_ERROR" && (await this.#isFull(id)))
          throw noFreePort(thrown);
        throw thrown;
      });
    await this.#certainty.ensure(
      async () => {
        await add();
        // A guest that has started meanwhile lacks it.
        await add();
      },
      async () => {
        const { isDefined, isLive } = await this.where(id, alias);
        return isDefined && isLive !== false;
      },
    );
  }

  /** Adds controllers to the definition alone. libvirt chooses their addresses; those of other devices stay. */
  async addControllers(id: string, controllers: readonly Controller[]): Promise<void> {
    for (const controller of controllers) {
      const args = { dom: reference(id), xml: buildController(controller), flags: CONFIG };
      await this.#libvirt.call(libvirt.domainAttachDeviceFlags, args);
    }
  }

  /** Replaces the device's changeable values, in the definition and in a running guest. */
  async update(id: string, xml: string): Promise<void> {
    await this.#certainty.ensure(() =>
      this.#steadily(id, async () => {
        const flags = isActive(await this.#reads.state(id)) ? LIVE | CONFIG : CONFIG;
        await this.#libvirt.call(libvirt.domainUpdateDeviceFlags, { dom: reference(id), xml, flags });
      }),
    );
  }

  /**
   * Changes a NIC to the values that `change` returns, in the definition and in a running guest, and reads them back. Throws
   * `conflict` NIC_NOT_ATTACHED if one of them lacks the NIC, and `unavailable` EFFECT_NOT_OBSERVED.
   */
  async changeNic(id: string, alias: string, change: (nic: Interface) => Interface): Promise<void> {
    const isChanged = async (): Promise<boolean> =>
      (await this.#nics(id, alias)).every((nic) => isDeepStrictEqual(change(nic), nic));
    if (await isChanged()) return;
    const [defined] = await this.#nics(id, alias);
    await this.update(id, buildInterface(change(defined)));
    if (!(await isChanged())) throw notObserved(`NIC ${nameOf(alias)}`);
  }

  /**
   * Limits a disk to these rates, in the definition and in a running guest, and reads them back. Throws `conflict`
   * DISK_NOT_ATTACHED if one of them lacks the disk, and `unavailable` EFFECT_NOT_OBSERVED.
   */
  async limitDisk(id: string, alias: string, limits: IoTune): Promise<void> {
    const isLimited = async (): Promise<boolean> =>
      (await this.#disks(id, alias)).every(({ ioTune = {} }) => isSameIoTune(ioTune, limits));
    if (await isLimited()) return;
    const params = ioTuneMembers.map((member) => ({
      field: ioTuneNames[member],
      // Zero is no limit. All in one call: libvirt keeps those that are not sent, and refuses a total beside the rates of one
      // direction, and a burst without its rate.
      value: { type: "ullong", value: limits[member] ?? 0 } as const,
    }));
    await this.#certainty.ensure(
      () =>
        this.#steadily(id, async () => {
          const [{ target }] = await this.#disks(id, alias);
          const flags = isActive(await this.#reads.state(id)) ? LIVE | CONFIG : CONFIG;
          const args = { dom: reference(id), disk: target.device, params, flags };
          await this.#libvirt.call(libvirt.domainSetBlockIoTune, args);
        }),
      isLimited,
    );
    if (!(await isLimited())) throw notObserved(`disk ${nameOf(alias)}`);
  }

  /** The disk in the definition, and in a running guest. */
  async #disks(id: string, alias: string): Promise<readonly [Disk, ...Disk[]]> {
    const of = (devices: Devices | undefined): Disk => {
      const disk = devices?.disks.find((each) => each.alias === alias);
      if (disk !== undefined) return disk;
      const message = `the domain or its running guest has no disk ${nameOf(alias)} any more; detach it, or restart the VM`;
      throw new SocleError("conflict", "DISK_NOT_ATTACHED", message);
    };
    const [defined, running] = await Promise.all([this.#defined(id), this.#running(id)]);
    return running === undefined ? [of(defined)] : [of(defined), of(running)];
  }

  /** The NIC in the definition, and in a running guest. */
  async #nics(id: string, alias: string): Promise<readonly [Interface, ...Interface[]]> {
    const of = (devices: Devices | undefined): Interface => {
      const nic = devices?.interfaces.find((each) => each.alias === alias);
      if (nic !== undefined) return nic;
      const message = `the domain or its running guest has no NIC ${nameOf(alias)} any more; detach it, then attach it again`;
      throw new SocleError("conflict", "NIC_NOT_ATTACHED", message);
    };
    const [defined, running] = await Promise.all([this.#defined(id), this.#running(id)]);
    return running === undefined ? [of(defined)] : [of(defined), of(running)];
  }

  /**
   * Asks a running guest to release the device, and waits until it has. Also succeeds if no guest has it. `mayBeAsked`: an
   * earlier run may have asked. Throws `conflict` GUEST_KEEPS_DEVICE after the deadline: the definition is unchanged, and the
   * guest may still release the device later.
   */
  async release(id: string, alias: string, mayBeAsked = false): Promise<void> {
    const key = `${id} ${alias}`;
    const startMs = this.#clock.monotonicMs();
    const askAtMs = startMs + (mayBeAsked || this.#kept.has(key) ? ANSWER_WITHIN_MS : 0);
    let isAsked = false;
    let refusal: SocleError | undefined;
    let waitMs = FIRST_LOOK_MS;
    using news = new DomainNews(this.#libvirt, this.#clock, id, "device_removed");
    while ((await this.where(id, alias)).isLive === true) {
      const nowMs = this.#clock.monotonicMs();
      // A second request during the first makes some guests stop (QEMU refuses it at best).
      if (!isAsked && nowMs >= askAtMs) {
        isAsked = true;
        this.#noteKept(key);
        refusal = await this.#ask(id, alias);
      }
      if (nowMs >= startMs + RELEASE_WITHIN_MS) throw keepsDevice(alias, refusal);
      // A guest that cooperates releases a device within some 100 ms.
      waitMs = Math.min(2 * waitMs, LOOK_EVERY_MS);
      await news.next(waitMs);
    }
    this.#kept.delete(key);
  }

  #noteKept(key: string): void {
    const [oldest] = this.#kept;
    if (this.#kept.size >= MOST_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    this.#kept.add(key);
  }

  /**
   * Removes the device from the definition. Also succeeds if it is not there. Throws as `release`: another client may have started
   * the VM with it meanwhile.
   */
  async undefine(id: string, alias: string): Promise<void> {
    const isGone = async (): Promise<boolean> => !(await this.where(id, alias)).isDefined;
    await this.#certainty.ensure(async () => {
      if (await isGone()) return;
      await this.#detach(id, alias, CONFIG);
    }, isGone);
    await this.release(id, alias, true);
  }

  /** A host device by its address: in the domains of earlier agents it has no alias. */
  async #detach(id: string, alias: string, flags: number): Promise<void> {
    const dom = reference(id);
    const address = pciAddressIn(alias);
    if (address === undefined)
      await this.#libvirt.call(libvirt.domainDetachDeviceAlias, { dom, alias, flags });
    else {
      const xml = buildHostDevice(hostDevice(address));
      await this.#libvirt.call(libvirt.domainDetachDeviceFlags, { dom, xml, flags });
    }
  }

  /** Takes an attached device back, from a running guest too. Also succeeds without the domain. Throws as `release`. */
  async takeBack(id: string, alias: string): Promise<void> {
    if ((await this.#reads.state(id)) === undefined) return;
    await this.release(id, alias);
    await this.undefine(id, alias);
  }

  /** A request whose reply is lost may have reached the guest: only the XML shows it. */
  async #ask(id: string, alias: string): Promise<SocleError | undefined> {
    try {
      await this.#detach(id, alias, LIVE);
      return undefined;
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (error.kind === "unavailable" || error.reason === "LIBVIRT_CLOSED") throw error;
      return error;
    }
  }

  /** Repeats a call that libvirt refuses since the guest has started or stopped meanwhile. */
  async #steadily(id: string, call: () => Promise<void>): Promise<void> {
    const before = isActive(await this.#reads.state(id));
    try {
      await call();
    } catch (thrown) {
      if (toSocleError(thrown).kind !== "conflict" || isActive(await this.#reads.state(id)) === before)
        throw thrown;
      await call();
    }
  }

  async #isFull(id: string): Promise<boolean> {
    const devices = await this.#running(id);
    return devices !== undefined && freePciePorts(devices) <= 0;
  }

  async #running(id: string): Promise<Devices | undefined> {
    return (await runningOf(this.#reads, id))?.devices;
  }

  async #defined(id: string): Promise<Devices | undefined> {
    return (await this.#reads.document(id, "defined"))?.devices;
  }

  /** Sets the size of a running guest's disk. libvirt also makes it smaller, without a warning: check before. */
  async resizeLive(id: string, target: string, bytes: number): Promise<void> {
    const flags = libvirt.DomainBlockResizeFlags.BYTES;
    const args = { dom: reference(id), disk: target, size: bytes, flags };
    await this.#certainty.ensure(
      () => this.#libvirt.call(libvirt.domainBlockResize, args),
      async () => (await this.capacityOf(id, target)) >= bytes,
    );
  }

  /** The size of a disk as the domain has it. */
  async capacityOf(id: string, target: string): Promise<number> {
    const args = { dom: reference(id), path: target, flags: 0 };
    return (await this.#libvirt.call(libvirt.domainGetBlockInfo, args, AHEAD)).capacity;
  }
}

/** Another client may have given the alias to a device of another kind. */
function hasAlias(devices: Devices, alias: string): boolean {
  if (alias.startsWith(ALIAS_PREFIX.pci)) return hasHostDevice(devices, alias);
  const { disks, interfaces, memoryDevices } = devices;
  if (isGrowthAlias(alias)) return memoryDevices.some((device) => device.alias === alias);
  return (alias.startsWith(ALIAS_PREFIX.disk) ? disks : interfaces).some((device) => device.alias === alias);
}

const unresponsive = (): SocleError =>
  new SocleError(
    "unavailable",
    "GUEST_UNRESPONSIVE",
    "the VM's QEMU process does not answer libvirt, so its devices cannot be changed: retry when it answers, or stop the VM with force and change it then",
    { details: { retryAfterMs: 5000 } },
  );

const notObserved = (device: string): SocleError =>
  new SocleError(
    "unavailable",
    "EFFECT_NOT_OBSERVED",
    `libvirt accepted the change of ${device} and does not show it: another client may change it too (virsh dumpxml); retry`,
  );

export const noFreePort = (cause?: unknown): SocleError =>
  new SocleError(
    "exhausted",
    "NO_FREE_PORT",
    "the running guest has no free PCI port for another device: detach one, or stop the VM and attach the device then",
    { cause },
  );

const nameOf = (alias: string): string =>
  deviceName("disk", alias) ?? deviceName("nic", alias) ?? pciAddressIn(alias) ?? alias;

function keepsDevice(alias: string, refusal: SocleError | undefined): SocleError {
  const name = nameOf(alias);
  const why = refusal === undefined ? "" : ` (${refusal.message})`;
  const message =
    `the guest did not release ${name} within ${RELEASE_WITHIN_MS / 1000} s${why}, and the VM's definition is unchanged. ` +
    "A guest that is booting, paused or has no hotplug driver cannot release devices: retry, or stop the VM and detach it then";
  return new SocleError("conflict", "GUEST_KEEPS_DEVICE", message, {
    cause: refusal,
    details: { metadata: { device: name } },
  });
}
