import { hash } from "node:crypto";
import type { Domain } from "../../libvirt/index.ts";
import { formatPciAddress, type DiskSource } from "../../libvirt/xml/index.ts";
import type { Accelerator } from "../../contract/spec.ts";
import type { Placement } from "../../state/reservations/placement.ts";
import { deviceName } from "../model/device-names.ts";
import { isActive } from "../hypervisor/domains.ts";
import { isRescueSystem } from "../model/rescue.ts";
import { ownFacts, shortReason, storedPlacement } from "../model/own-facts.ts";
import { growthDevices } from "../model/memory-growth.ts";
import type { Vm, VmDisk, VmImage, VmState } from "../model/vm.ts";
import { defined } from "../../kernel/defined.ts";
import type { DomainMetadata, VmDomain } from "../model/vm-domain.ts";

/** Size of huge pages if the domain names none: the default of every kernel without a boot parameter for it. */
const DEFAULT_HUGEPAGE_BYTES = 2 * 1024 ** 2;

/** libvirt's facts of a domain outside its XML. */
export interface DomainFacts {
  readonly state: VmState;
  readonly stateReason: string;
  readonly observedAtMs: number;
  /** As Vm.savedState. */
  readonly savedState?: boolean | undefined;
  readonly savedMemoryBytes?: number | undefined;
}

/** Converts a libvirt domain to a VM. `own`: the facts of its metadata. */
export const vmFromDomain = (
  document: VmDomain,
  facts: DomainFacts,
  own = ownFacts(document.metadata, document.uuid),
): Vm =>
  withEtag(
    defined({
      id: document.uuid,
      name: document.name,
      presence: "present",
      observedAtMs: facts.observedAtMs,
      state: facts.state,
      stateReason: facts.stateReason,
      savedState: facts.savedState,
      savedMemoryBytes: facts.savedMemoryBytes,
      ...own,
      newestOperation: document.metadata?.stamp?.operation,
      isRescued: isRescueSystem(document) ? true : undefined,
      accelerator: acceleratorByType.get(document.type),
      vcpus: document.vcpus.current,
      memoryBytes: document.memoryBytes,
      isGrown: growthDevices(document.devices).length > 0 ? true : undefined,
      ...onHost(document, own.placedDevices),
      disks: document.devices.disks.map((disk) => {
        const backing = (disk.backingChain ?? []).flatMap(({ source }) => imageOf(source) ?? []);
        return defined({
          device: disk.target.device,
          name: deviceName("disk", disk.alias),
          ...imageOf(disk.source),
          readOnly: disk.readOnly === true ? true : undefined,
          backing: backing.length === 0 ? undefined : backing,
          mirror: imageOf(disk.mirror),
        });
      }),
      nics: document.devices.interfaces.map(({ mac = "", alias, targetDevice: device, source }) =>
        defined({
          mac,
          name: deviceName("nic", alias),
          device,
          network: source.type === "network" ? source.network : undefined,
        }),
      ),
    }),
  );

/** Undefined: neither a file nor a volume of this host. */
export function imageOf(source: DiskSource | undefined): VmImage | undefined {
  if (source === undefined) return undefined;
  if ("path" in source) return { path: source.path };
  return source.type === "volume" ? { volume: { pool: source.pool, volume: source.volume } } : undefined;
}

/**
 * A domain whose XML libvirt does not return (its QEMU hangs) or that cannot be read (`problem` gives the reason). Its
 * size, Socle's metadata and the last read describe it. Undefined: its size is not known.
 */
export function vmWithoutXml(known: {
  readonly domain: Domain;
  readonly size: { readonly vcpus: number | undefined; readonly memoryBytes: number | undefined };
  readonly facts: DomainFacts;
  readonly metadata: DomainMetadata | undefined;
  readonly disks?: readonly VmDisk[];
  readonly before?: Vm | undefined;
  readonly problem?: string;
}): Vm | undefined {
  const { domain, size, facts, metadata, disks = [], before, problem } = known;
  const own = ownFacts(metadata, domain.uuid);
  const vcpus = size.vcpus ?? own.spec?.vcpus;
  const memoryBytes = size.memoryBytes ?? own.spec?.memoryBytes;
  if (vcpus === undefined || memoryBytes === undefined) return undefined;
  const { accelerator = metadata?.socle?.accelerator } = before ?? {};
  const reasons = [own.unreadable, problem].filter((reason) => reason !== undefined);
  return withEtag(
    defined({
      id: domain.uuid,
      name: domain.name,
      presence: "present",
      ...facts,
      ...own,
      newestOperation: before?.newestOperation,
      accelerator,
      vcpus,
      memoryBytes,
      ...(before === undefined
        ? asPlaced(storedPlacement(metadata))
        : onHostBefore(before, own.placedDevices)),
      disks: [...(before?.disks ?? []), ...disks.filter(({ path }) => !isIn(before?.disks, path))],
      nics: before?.nics ?? [],
      ...(reasons.length > 0 && { unreadable: shortReason(reasons.join("; ")) }),
    }),
  );
}

const isIn = (disks: readonly VmDisk[] = [], path: string | undefined): boolean =>
  disks.some((disk) => disk.path === path);

type OnHost = Pick<Vm, "cells" | "hugepageBytes" | "vcpuPins" | "emulatorPin" | "devices">;

/** The placement of a domain on the host, from its XML. */
function onHost(
  { vcpus, cpuTune, numaTune, memoryBacking, devices }: VmDomain,
  placed: Vm["placedDevices"],
): OnHost {
  const pins = new Map(cpuTune?.vcpuPins?.map(({ vcpu, cpuSet }) => [vcpu, cpuSet]));
  const ofVcpus = Array.from({ length: vcpus.current }, (_, vcpu) => pins.get(vcpu) ?? vcpus.cpuSet);
  const vcpuPins = ofVcpus.filter((cpuSet) => cpuSet !== undefined);
  const emulatorPin = cpuTune?.emulatorPin ?? vcpus.cpuSet;
  const ofGuestCells = numaTune?.memNodes?.flatMap(({ nodeSet }) => nodeSet) ?? [];
  const hugepages = memoryBacking?.hugePages?.[0];
  const addresses = [
    ...devices.hostDevices.flatMap((device) => (device.type === "pci" ? [device.address] : [])),
    ...devices.interfaces.flatMap(({ source }) => (source.type === "hostdev" ? [source.address] : [])),
  ];
  return defined({
    cells: numaTune?.memory?.nodeSet ?? [...new Set(ofGuestCells)].sort((a, b) => a - b),
    hugepageBytes: hugepages === undefined ? undefined : (hugepages.pageSizeBytes ?? DEFAULT_HUGEPAGE_BYTES),
    vcpuPins: vcpuPins.length === 0 ? undefined : vcpuPins,
    emulatorPin,
    devices: heldDevices(addresses.length === 0 ? undefined : addresses.map(formatPciAddress), placed),
  });
}

/** A placed device is held also before and after the domain has it. */
function heldDevices(seen: OnHost["devices"], placed: readonly string[] = []): OnHost["devices"] {
  const more = placed.filter((address) => seen?.includes(address) !== true);
  // The same list says that nothing has changed.
  return more.length === 0 ? seen : [...(seen ?? []), ...more];
}

/** The placement that Socle decided at creation, if the XML is not available. */
function asPlaced(placement: Placement | undefined): OnHost {
  if (placement === undefined) return { cells: [] };
  const { cells, vcpuCpus, emulatorCpus, hugepageBytes, devices } = placement;
  return defined({
    cells,
    hugepageBytes,
    vcpuPins: vcpuCpus.length === 0 ? undefined : vcpuCpus.map((cpu) => [cpu]),
    emulatorPin: emulatorCpus.length === 0 ? undefined : emulatorCpus,
    devices: devices.length === 0 ? undefined : devices,
  });
}

const onHostBefore = (
  { cells, hugepageBytes, vcpuPins, emulatorPin, devices }: Vm,
  placed: Vm["placedDevices"],
): OnHost => defined({ cells, hugepageBytes, vcpuPins, emulatorPin, devices: heldDevices(devices, placed) });

const UNSEEN = "-unseen";

/** Length of the part of an etag that covers the VM without its state. */
const LASTING_LENGTH = 11;

const acceleratorByType = new Map<string, Accelerator>([
  ["kvm", "kvm"],
  ["qemu", "tcg"],
]);

/** The VM with an etag over everything but readings. The first part stays the same over starts and stops. */
export function withEtag(seen: Omit<Vm, "etag">): Vm {
  const vm = isActive(seen) ? { ...seen, savedState: undefined, savedMemoryBytes: undefined } : seen;
  const { id, instance, name, tenant, labels, createdAtMs, placementEpoch, spec, vcpus, memoryBytes } = vm;
  const lasting: unknown[] = [id, instance, name, tenant, labels, createdAtMs, placementEpoch];
  lasting.push(spec, vcpus, memoryBytes);
  if (vm.snapshots !== undefined) lasting.push(vm.snapshots);
  if (vm.rescue !== undefined) lasting.push(vm.rescue);
  if (vm.seed !== undefined) lasting.push(vm.seed);
  const all = {
    ...vm,
    presence: undefined,
    observedAtMs: undefined,
    stats: undefined,
    leases: undefined,
    watchdog: undefined,
    etag: undefined,
    newestOperation: undefined,
  };
  const etag = digest(lasting).slice(0, LASTING_LENGTH) + digest(all).slice(0, LASTING_LENGTH);
  return { ...vm, etag: vm.presence === "present" ? etag : `${etag}${UNSEEN}` };
}

const digest = (value: unknown): string => hash("sha256", JSON.stringify(value), "base64url");

/** Whether two etags have the same specification, in any state. */
export const isSameBesideState = (a: string, b: string): boolean =>
  a.slice(0, LASTING_LENGTH) === b.slice(0, LASTING_LENGTH);

/** The VM as last seen. Keeps its etag: a lost connection changes all VMs at once. */
export const unseen = (vm: Vm): Vm =>
  vm.presence === "unknown" ? vm : { ...vm, presence: "unknown", etag: `${vm.etag}${UNSEEN}` };
