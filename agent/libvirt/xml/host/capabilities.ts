import { parseDocument } from "../document.ts";
import type { XmlElement } from "../element.ts";
import { present } from "../present.ts";

/** `virConnectGetCapabilities`: what the machine is and which guests its emulators can run. */
export interface HostCapabilities {
  /** From DMI, or libvirt's own; may be absent. */
  readonly hostUuid?: string;
  readonly cpu: HostCpu;
  readonly iommu?: boolean;
  readonly liveMigration: boolean;
  /** tcp, rdma. */
  readonly migrationTransports: readonly string[];
  readonly cells: readonly NumaCell[];
  readonly cacheBanks: readonly CacheBank[];
  /** Where memory bandwidth can be allotted (resctrl MBA). */
  readonly memoryBandwidthNodes: readonly MemoryBandwidthNode[];
  readonly securityModels: readonly SecurityModel[];
  readonly guests: readonly GuestCapabilities[];
}

export interface HostCpu {
  readonly arch: string;
  readonly model?: string;
  readonly vendor?: string;
  readonly microcodeVersion?: number;
  readonly maxPhysicalAddressBits?: number;
  readonly topology?: {
    readonly sockets: number;
    readonly dies?: number;
    readonly clusters?: number;
    readonly cores: number;
    readonly threads: number;
  };
  readonly features: readonly string[];
  readonly counters: readonly {
    readonly name: string;
    readonly frequencyHz?: number;
    readonly scaling?: boolean;
  }[];
  readonly pageSizesBytes: readonly number[];
}

export interface NumaCell {
  readonly id: number;
  readonly memoryBytes: number;
  readonly pages: readonly { readonly sizeBytes: number; readonly count: number }[];
  /** In the firmware's own terms: 10 is local. */
  readonly distances: readonly { readonly cell: number; readonly value: number }[];
  readonly cpus: readonly HostCpuPlace[];
}

/** Places are absent for a cpu that is offline. */
export interface HostCpuPlace {
  readonly id: number;
  readonly socket?: number;
  readonly die?: number;
  readonly cluster?: number;
  readonly core?: number;
  /** Hardware threads of the same core, itself included. */
  readonly siblings: readonly number[];
}

export interface CacheBank {
  readonly id: number;
  readonly level: number;
  /** both, code, data. */
  readonly type: string;
  readonly sizeBytes: number;
  readonly cpus: readonly number[];
}

export interface MemoryBandwidthNode {
  readonly id: number;
  readonly cpus: readonly number[];
  readonly granularityPercent?: number;
  readonly minPercent?: number;
  readonly maxAllocations?: number;
}

export interface SecurityModel {
  readonly model: string;
  readonly doi: string;
}

export interface GuestCapabilities {
  /** hvm, xen, exe, ... */
  readonly osType: string;
  readonly arch: string;
  readonly wordSizeBits?: number;
  readonly emulator?: string;
  readonly machines: readonly {
    readonly name: string;
    /** What an alias such as q35 stands for. */
    readonly canonical?: string;
    readonly maxCpus?: number;
    readonly deprecated?: boolean;
  }[];
  /** qemu, kvm, ... */
  readonly domainTypes: readonly string[];
}

export function parseCapabilities(xml: string): HostCapabilities {
  const root = parseDocument(xml, "capabilities");
  const host = root.requireChild("host");
  return present<HostCapabilities>({
    hostUuid: host.textAt("uuid")?.toLowerCase(),
    cpu: readCpu(host.requireChild("cpu")),
    iommu: host.child("iommu")?.flagAttr("support"),
    liveMigration: host.has("migration_features/live"),
    migrationTransports: host.textsAt("migration_features/uri_transports/uri_transport"),
    cells: host.all("topology/cells/cell").map(readCell),
    cacheBanks: host.all("cache/bank").map((bank) => ({
      id: bank.requireIntegerAttr("id"),
      level: bank.requireIntegerAttr("level"),
      type: bank.requireAttr("type"),
      sizeBytes: bank.bytesAttr("size") ?? 0,
      cpus: bank.cpuSetAttr("cpus") ?? [],
    })),
    memoryBandwidthNodes: host.all("memory_bandwidth/node").map(readBandwidthNode),
    securityModels: host
      .all("secmodel")
      .map((model) => ({ model: model.requireText("model"), doi: model.textAt("doi") ?? "" })),
    guests: root.all("guest").flatMap(readGuest),
  });
}

function readCpu(cpu: XmlElement): HostCpu {
  const topology = cpu.child("topology");
  return present<HostCpu>({
    arch: cpu.requireText("arch"),
    model: cpu.textAt("model"),
    vendor: cpu.textAt("vendor"),
    microcodeVersion: cpu.child("microcode")?.integerAttr("version"),
    maxPhysicalAddressBits: cpu.child("maxphysaddr")?.integerAttr("bits"),
    topology:
      topology &&
      present<NonNullable<HostCpu["topology"]>>({
        sockets: topology.requireIntegerAttr("sockets"),
        dies: topology.integerAttr("dies"),
        clusters: topology.integerAttr("clusters"),
        cores: topology.requireIntegerAttr("cores"),
        threads: topology.requireIntegerAttr("threads"),
      }),
    features: cpu.all("feature").map((feature) => feature.requireAttr("name")),
    counters: cpu.all("counter").map((counter) =>
      present<HostCpu["counters"][number]>({
        name: counter.requireAttr("name"),
        frequencyHz: counter.integerAttr("frequency"),
        scaling: counter.flagAttr("scaling"),
      }),
    ),
    pageSizesBytes: cpu.all("pages").map((page) => page.bytesAttr("size") ?? 0),
  });
}

function readCell(cell: XmlElement): NumaCell {
  return {
    id: cell.requireIntegerAttr("id"),
    memoryBytes: cell.bytesAt("memory") ?? 0,
    pages: cell
      .all("pages")
      .map((pages) => ({ sizeBytes: pages.bytesAttr("size") ?? 0, count: pages.integer() })),
    distances: cell.all("distances/sibling").map((sibling) => ({
      cell: sibling.requireIntegerAttr("id"),
      value: sibling.requireIntegerAttr("value"),
    })),
    cpus: cell.all("cpus/cpu").map(readCpuPlace),
  };
}

function readCpuPlace(cpu: XmlElement): HostCpuPlace {
  const id = cpu.requireIntegerAttr("id");
  return present<HostCpuPlace>({
    id,
    socket: cpu.integerAttr("socket_id"),
    die: cpu.integerAttr("die_id"),
    cluster: cpu.integerAttr("cluster_id"),
    core: cpu.integerAttr("core_id"),
    siblings: cpu.cpuSetAttr("siblings") ?? [id],
  });
}

function readBandwidthNode(node: XmlElement): MemoryBandwidthNode {
  const control = node.child("control");
  return present<MemoryBandwidthNode>({
    id: node.requireIntegerAttr("id"),
    cpus: node.cpuSetAttr("cpus") ?? [],
    granularityPercent: control?.integerAttr("granularity"),
    minPercent: control?.integerAttr("min"),
    maxAllocations: control?.integerAttr("maxAllocs"),
  });
}

function readGuest(guest: XmlElement): GuestCapabilities[] {
  const osType = guest.requireText("os_type");
  return guest.all("arch").map((arch) =>
    present<GuestCapabilities>({
      osType,
      arch: arch.requireAttr("name"),
      wordSizeBits: arch.integerAt("wordsize"),
      emulator: arch.textAt("emulator"),
      machines: arch.all("machine").map((machine) =>
        present<GuestCapabilities["machines"][number]>({
          name: machine.text,
          canonical: machine.attr("canonical"),
          maxCpus: machine.integerAttr("maxCpus"),
          deprecated: machine.flagAttr("deprecated"),
        }),
      ),
      domainTypes: arch.all("domain").map((domain) => domain.requireAttr("type")),
    }),
  );
}
