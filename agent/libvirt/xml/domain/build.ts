import { LibvirtError } from "../../internal/errors.ts";
import { formatCpuSet } from "./cpuset.ts";
import { deviceRules } from "./device-rules.ts";
import {
  controllerNode,
  deviceNodes,
  diskNode,
  graphicsNode,
  hostDeviceNode,
  interfaceNode,
  memoryDeviceNode,
} from "./devices-build.ts";
import type { Controller, Disk, Graphics, HostDevice, Interface, MemoryDevice } from "./devices.ts";
import { metadataNode, type MetadataElement } from "./metadata.ts";
import { domainRulesWith } from "./rules.ts";
import type {
  CpuTune,
  DomainClock,
  DomainCpu,
  DomainDocument,
  DomainFeatures,
  DomainOs,
  MemoryBacking,
  NumaTune,
  Vcpus,
} from "./domain.ts";
import {
  flagNode,
  kibibytes,
  kibibytesNode,
  node,
  nodeIfAny,
  on,
  textNode,
  write,
  yes,
  type XmlNode,
} from "../writer.ts";

/**
 * The XML to define the domain with, through the allow-list of rules.ts. `metadata` takes the place of the document's
 * elements with the same namespaces. Throws `invalid`/XML_VALUE_REFUSED with the element's path for a value that may not be
 * written, `unsupported`/DOMAIN_NOT_WRITABLE for a document with read-only members.
 */
export function buildDomain(domain: DomainDocument, metadata: readonly MetadataElement[] = []): string {
  refuseReadOnly(domain, metadata);
  return write(
    domainRulesWith(metadata.map(({ namespace }) => namespace)),
    node("domain", { type: domain.type }, [
      textNode("name", domain.name),
      textNode("uuid", domain.uuid),
      textNode("title", domain.title),
      textNode("description", domain.description),
      nodeIfAny("metadata", {}, metadata.map(metadataNode)),
      domain.maxMemory && maxMemoryNode(domain.maxMemory),
      kibibytesNode("memory", domain.memoryBytes),
      kibibytesNode("currentMemory", domain.currentMemoryBytes),
      nodeIfAny("memtune", {}, [kibibytesNode("hard_limit", domain.memoryHardLimitBytes)]),
      memoryBackingNode(domain.memoryBacking),
      vcpuNode(domain.vcpus),
      vcpusNode(domain.vcpus),
      textNode("iothreads", domain.iothreads),
      cpuTuneNode(domain.cpuTune),
      numaTuneNode(domain.numaTune),
      osNode(domain.os),
      featuresNode(domain.features),
      cpuNode(domain.cpu),
      clockNode(domain.clock),
      textNode("on_poweroff", domain.onPoweroff),
      textNode("on_reboot", domain.onReboot),
      textNode("on_crash", domain.onCrash),
      node("devices", {}, deviceNodes(domain.devices)),
      domain.launchSecurity &&
        node("launchSecurity", { type: domain.launchSecurity.type }, [
          textNode("policy", hexadecimal(domain.launchSecurity.policy)),
        ]),
    ]),
  );
}

/** A single device, for attach, update and detach. Throws as `buildDomain`. */
export function buildDisk(disk: Disk): string {
  return write({ root: "disk", rule: deviceRules.disk }, diskNode(disk));
}

export function buildInterface(networkInterface: Interface): string {
  return write({ root: "interface", rule: deviceRules.interface }, interfaceNode(networkInterface));
}

export function buildController(controller: Controller): string {
  return write({ root: "controller", rule: deviceRules.controller }, controllerNode(controller));
}

export function buildHostDevice(device: HostDevice): string {
  return write({ root: "hostdev", rule: deviceRules.hostdev }, hostDeviceNode(device));
}

export function buildMemoryDevice(device: MemoryDevice): string {
  return write({ root: "memory", rule: deviceRules.memory }, memoryDeviceNode(device));
}

export function buildGraphics(graphics: Graphics): string {
  return write({ root: "graphics", rule: deviceRules.graphics }, graphicsNode(graphics));
}

function refuseReadOnly(domain: DomainDocument, metadata: readonly MetadataElement[]): void {
  const written = new Set(metadata.map(({ namespace }) => namespace.uri));
  const found = [
    domain.hasCommandLine === true ? "qemu:commandline" : undefined,
    domain.metadata?.some(({ namespace }) => !written.has(namespace)) === true ? "metadata" : undefined,
    domain.launchSecurity?.hasMore === true ? "launchSecurity" : undefined,
    domain.features?.hyperv === true ? "features/hyperv" : undefined,
    domain.devices.graphics.some(({ type }) => type !== "vnc") ? "devices/graphics" : undefined,
  ].filter((name) => name !== undefined);
  if (found.length === 0) return;
  throw new LibvirtError(
    "unsupported",
    "DOMAIN_NOT_WRITABLE",
    `the domain has parts that are read but never written: ${found.join(", ")}`,
  );
}

const hexadecimal = (value: number | undefined): string | undefined =>
  value === undefined ? undefined : `0x${value.toString(16).padStart(4, "0")}`;

export function maxMemoryNode({
  bytes,
  slots,
}: NonNullable<DomainDocument["maxMemory"]>): XmlNode | undefined {
  return kibibytesNode("maxMemory", bytes, { slots });
}

function memoryBackingNode(backing: MemoryBacking | undefined): XmlNode | undefined {
  if (backing === undefined) return undefined;
  const pages = backing.hugePages?.map((page) =>
    page.pageSizeBytes === undefined
      ? undefined
      : node("page", {
          size: kibibytes(page.pageSizeBytes),
          unit: "KiB",
          nodeset: page.guestCells && formatCpuSet(page.guestCells),
        }),
  );
  return node("memoryBacking", {}, [
    pages && node("hugepages", {}, pages),
    flagNode("nosharepages", backing.noSharePages),
    flagNode("locked", backing.locked),
    nodeIfAny("source", { type: backing.source }),
    nodeIfAny("access", { mode: backing.access }),
    nodeIfAny("allocation", { mode: backing.allocation }),
  ]);
}

export function vcpuNode({ max, current, cpuSet }: Vcpus): XmlNode {
  const attributes = {
    placement: "static",
    current: current === max ? undefined : current,
    cpuset: cpuSet && formatCpuSet(cpuSet),
  };
  return node("vcpu", attributes, max);
}

/** Without removable ones the element is libvirt's to write. */
export function vcpusNode({ max, current, removable = 0 }: Vcpus): XmlNode | undefined {
  if (removable === 0) return undefined;
  return node(
    "vcpus",
    {},
    Array.from({ length: max }, (_, id) =>
      node("vcpu", { id, enabled: yes(id < current), hotpluggable: yes(id >= current - removable) }),
    ),
  );
}

function cpuTuneNode(tune: CpuTune | undefined): XmlNode | undefined {
  if (tune === undefined) return undefined;
  return node("cputune", {}, [
    textNode("shares", tune.shares),
    textNode("period", tune.periodMicros),
    textNode("quota", tune.quotaMicros),
    ...(tune.vcpuPins ?? []).map(({ vcpu, cpuSet }) =>
      node("vcpupin", { vcpu, cpuset: formatCpuSet(cpuSet) }),
    ),
    tune.emulatorPin && node("emulatorpin", { cpuset: formatCpuSet(tune.emulatorPin) }),
    ...(tune.iothreadPins ?? []).map(({ iothread, cpuSet }) =>
      node("iothreadpin", { iothread, cpuset: formatCpuSet(cpuSet) }),
    ),
  ]);
}

function numaTuneNode(tune: NumaTune | undefined): XmlNode | undefined {
  if (tune === undefined) return undefined;
  const { memory } = tune;
  return node("numatune", {}, [
    memory &&
      node("memory", {
        mode: memory.mode,
        placement: memory.placement,
        nodeset: memory.nodeSet && formatCpuSet(memory.nodeSet),
      }),
    ...(tune.memNodes ?? []).map(({ guestCell, mode, nodeSet }) =>
      node("memnode", { cellid: guestCell, mode, nodeset: formatCpuSet(nodeSet) }),
    ),
  ]);
}

function osNode(os: DomainOs): XmlNode {
  const feature = (name: string, enabled: boolean | undefined) =>
    enabled === undefined ? undefined : node("feature", { enabled: yes(enabled), name });
  const { loader, nvram } = os;
  return node("os", { firmware: os.firmware }, [
    node("type", { arch: os.arch, machine: os.machine }, os.type),
    nodeIfAny("firmware", {}, [
      feature("enrolled-keys", os.enrolledKeys),
      feature("secure-boot", os.secureBoot),
    ]),
    loader &&
      node(
        "loader",
        {
          readonly: yes(loader.readOnly),
          type: loader.type,
          secure: yes(loader.secure),
          format: loader.format,
        },
        loader.path ?? [],
      ),
    nvram && node("nvram", { template: nvram.template, format: nvram.format }, nvram.path ?? []),
    textNode("kernel", os.kernel),
    textNode("initrd", os.initrd),
    textNode("cmdline", os.commandLine),
    ...(os.bootDevices ?? []).map((dev) => node("boot", { dev })),
  ]);
}

function featuresNode(features: DomainFeatures | undefined): XmlNode | undefined {
  if (features === undefined) return undefined;
  const toggled = (name: string, state: boolean | undefined) => nodeIfAny(name, { state: on(state) });
  const cache = features.tcgCacheBytes;
  return node("features", {}, [
    flagNode("acpi", features.acpi),
    flagNode("apic", features.apic),
    flagNode("pae", features.pae),
    nodeIfAny("kvm", {}, [toggled("hidden", features.kvmHidden)]),
    toggled("vmport", features.vmport),
    toggled("smm", features.smm),
    nodeIfAny("ioapic", { driver: features.ioapic }),
    cache === undefined
      ? undefined
      : node("tcg", {}, [node("tb-cache", { unit: "MiB" }, Math.ceil(cache / 1024 ** 2))]),
  ]);
}

export function cpuNode(cpu: DomainCpu | undefined): XmlNode | undefined {
  if (cpu === undefined) return undefined;
  const { model, topology } = cpu;
  return node("cpu", { mode: cpu.mode, match: cpu.match, check: cpu.check, migratable: on(cpu.migratable) }, [
    model && node("model", { fallback: model.fallback }, model.name),
    textNode("vendor", cpu.vendor),
    topology && node("topology", { ...topology }),
    ...(cpu.features ?? []).map(({ name, policy }) => node("feature", { policy, name })),
    cpu.cells && numaNode(cpu.cells),
  ]);
}

export function numaNode(cells: NonNullable<DomainCpu["cells"]>): XmlNode {
  return node(
    "numa",
    {},
    cells.map((cell) =>
      node("cell", {
        id: cell.id,
        cpus: cell.cpus && formatCpuSet(cell.cpus),
        memory: kibibytes(cell.memoryBytes),
        unit: "KiB",
        memAccess: cell.memoryAccess,
      }),
    ),
  );
}

function clockNode(clock: DomainClock | undefined): XmlNode | undefined {
  if (clock === undefined) return undefined;
  return node(
    "clock",
    { offset: clock.offset },
    (clock.timers ?? []).map((timer) =>
      node("timer", {
        name: timer.name,
        present: yes(timer.present),
        tickpolicy: timer.tickPolicy,
        mode: timer.mode,
        frequency: timer.frequencyHz,
      }),
    ),
  );
}
