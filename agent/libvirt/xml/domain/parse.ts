import { flag, type XmlElement } from "../element.ts";
import { parseDocument } from "../document.ts";
import { parseDevices } from "./devices-parse.ts";
import { oneOf, present, some } from "../present.ts";
import type {
  CpuTune,
  DomainClock,
  DomainCpu,
  DomainDocument,
  DomainFeatures,
  DomainOs,
  MemoryBacking,
  NumaTune,
  SecurityLabel,
  Vcpus,
} from "./domain.ts";

/**
 * Reads the XML of `virDomainGetXMLDesc`, of any domain of any hypervisor; unknown elements are ignored.
 * Throws as `parseDocument` does, and XML_UNEXPECTED where what libvirt always writes is missing.
 */
export function parseDomain(xml: string): DomainDocument {
  const root = parseDocument(xml, "domain");
  const devices = root.child("devices");
  return present<DomainDocument>({
    type: root.requireAttr("type"),
    name: root.requireText("name"),
    uuid: root.requireText("uuid").trim().toLowerCase(),
    title: root.textAt("title"),
    description: root.textAt("description"),
    metadata: some(root.child("metadata")?.children ?? []),
    memoryBytes: root.requireChild("memory").bytes(),
    currentMemoryBytes: root.bytesAt("currentMemory"),
    maxMemory: readMaxMemory(root.child("maxMemory")),
    memoryBacking: readMemoryBacking(root.child("memoryBacking")),
    vcpus: readVcpus(root),
    iothreads: root.integerAt("iothreads"),
    cpuTune: readCpuTune(root.child("cputune")),
    numaTune: readNumaTune(root.child("numatune")),
    memoryHardLimitBytes: root.child("memtune")?.bytesAt("hard_limit"),
    cpu: readCpu(root.child("cpu")),
    os: readOs(root.requireChild("os")),
    features: readFeatures(root.child("features")),
    clock: readClock(root.child("clock")),
    onPoweroff: root.textAt("on_poweroff"),
    onReboot: root.textAt("on_reboot"),
    onCrash: root.textAt("on_crash"),
    devices: parseDevices(devices),
    securityLabels: some(root.all("seclabel").map(readSecurityLabel)),
    launchSecurity: readLaunchSecurity(root.child("launchSecurity")),
    hasCommandLine: root.children.some(isQemuCommandLine) ? true : undefined,
  });
}

function isQemuCommandLine(element: XmlElement): boolean {
  return (
    element.localName === "commandline" && element.namespace === "http://libvirt.org/schemas/domain/qemu/1.0"
  );
}

function readVcpus(root: XmlElement): Vcpus {
  const vcpu = root.child("vcpu");
  const max = vcpu?.integer() ?? 1;
  const removable = root
    .all("vcpus/vcpu")
    .filter((each) => each.flagAttr("enabled") === true && each.flagAttr("hotpluggable") === true).length;
  return present<Vcpus>({
    max,
    current: vcpu?.integerAttr("current") ?? max,
    cpuSet: vcpu?.cpuSetAttr("cpuset"),
    removable: removable === 0 ? undefined : removable,
  });
}

function readMaxMemory(element: XmlElement | undefined): DomainDocument["maxMemory"] {
  if (element === undefined) return undefined;
  return present<NonNullable<DomainDocument["maxMemory"]>>({
    bytes: element.bytes(),
    slots: element.integerAttr("slots"),
  });
}

function readMemoryBacking(element: XmlElement | undefined): MemoryBacking | undefined {
  if (element === undefined) return undefined;
  const pages = element.child("hugepages");
  type HugePages = NonNullable<MemoryBacking["hugePages"]>[number];
  return present<MemoryBacking>({
    hugePages:
      pages === undefined
        ? undefined
        : pages.has("page")
          ? pages.all("page").map((page) =>
              present<HugePages>({
                pageSizeBytes: page.bytesAttr("size"),
                guestCells: page.cpuSetAttr("nodeset"),
              }),
            )
          : [{}],
    source: oneOf(element.child("source")?.attr("type"), ["anonymous", "file", "memfd"]),
    access: oneOf(element.child("access")?.attr("mode"), ["shared", "private"]),
    allocation: oneOf(element.child("allocation")?.attr("mode"), ["immediate", "ondemand"]),
    noSharePages: element.has("nosharepages") ? true : undefined,
    locked: element.has("locked") ? true : undefined,
  });
}

function readCpuTune(element: XmlElement | undefined): CpuTune | undefined {
  if (element === undefined) return undefined;
  return present<CpuTune>({
    shares: element.integerAt("shares"),
    periodMicros: element.integerAt("period"),
    quotaMicros: element.integerAt("quota"),
    vcpuPins: some(
      element
        .all("vcpupin")
        .map((pin) => ({ vcpu: pin.requireIntegerAttr("vcpu"), cpuSet: pin.requireCpuSetAttr("cpuset") })),
    ),
    emulatorPin: element.child("emulatorpin")?.cpuSetAttr("cpuset"),
    iothreadPins: some(
      element.all("iothreadpin").map((pin) => ({
        iothread: pin.requireIntegerAttr("iothread"),
        cpuSet: pin.requireCpuSetAttr("cpuset"),
      })),
    ),
  });
}

function readNumaTune(element: XmlElement | undefined): NumaTune | undefined {
  if (element === undefined) return undefined;
  const memory = element.child("memory");
  return present<NumaTune>({
    memory:
      memory &&
      present<NonNullable<NumaTune["memory"]>>({
        mode: memory.attr("mode") ?? "strict",
        nodeSet: memory.cpuSetAttr("nodeset"),
        placement: memory.attr("placement"),
      }),
    memNodes: some(
      element.all("memnode").map((memNode) => ({
        guestCell: memNode.requireIntegerAttr("cellid"),
        mode: memNode.attr("mode") ?? "strict",
        nodeSet: memNode.requireCpuSetAttr("nodeset"),
      })),
    ),
  });
}

function readCpu(element: XmlElement | undefined): DomainCpu | undefined {
  if (element === undefined) return undefined;
  const model = element.child("model");
  const topology = element.child("topology");
  type Model = NonNullable<DomainCpu["model"]>;
  type Topology = NonNullable<DomainCpu["topology"]>;
  type Feature = NonNullable<DomainCpu["features"]>[number];
  type Cell = NonNullable<DomainCpu["cells"]>[number];
  return present<DomainCpu>({
    mode: element.attr("mode"),
    match: element.attr("match"),
    check: element.attr("check"),
    migratable: element.flagAttr("migratable"),
    model:
      model === undefined || model.text === ""
        ? undefined
        : present<Model>({ name: model.text, fallback: oneOf(model.attr("fallback"), ["allow", "forbid"]) }),
    vendor: element.textAt("vendor"),
    topology:
      topology &&
      present<Topology>({
        sockets: topology.requireIntegerAttr("sockets"),
        dies: topology.integerAttr("dies"),
        clusters: topology.integerAttr("clusters"),
        cores: topology.requireIntegerAttr("cores"),
        threads: topology.requireIntegerAttr("threads"),
      }),
    features: some(
      element
        .all("feature")
        .map((feature) =>
          present<Feature>({ name: feature.requireAttr("name"), policy: feature.attr("policy") }),
        ),
    ),
    cells: some(
      element.all("numa/cell").map((cell) =>
        present<Cell>({
          id: cell.integerAttr("id"),
          cpus: cell.cpuSetAttr("cpus"),
          memoryBytes: cell.bytesAttr("memory") ?? 0,
          memoryAccess: oneOf(cell.attr("memAccess"), ["shared", "private"]),
        }),
      ),
    ),
  });
}

function readOs(element: XmlElement): DomainOs {
  const type = element.requireChild("type");
  const loader = element.child("loader");
  const nvram = element.child("nvram");
  const firmwareFeature = (name: string) =>
    element
      .all("firmware/feature")
      .find((feature) => feature.attr("name") === name)
      ?.flagAttr("enabled");
  return present<DomainOs>({
    type: type.text,
    arch: type.attr("arch"),
    machine: type.attr("machine"),
    firmware: oneOf(element.attr("firmware"), ["bios", "efi"]),
    secureBoot: firmwareFeature("secure-boot"),
    enrolledKeys: firmwareFeature("enrolled-keys"),
    loader:
      loader &&
      present<NonNullable<DomainOs["loader"]>>({
        path: loader.text.trim() || undefined,
        readOnly: loader.flagAttr("readonly"),
        type: oneOf(loader.attr("type"), ["rom", "pflash"]),
        secure: loader.flagAttr("secure"),
        format: loader.attr("format"),
      }),
    nvram:
      nvram &&
      present<NonNullable<DomainOs["nvram"]>>({
        path: nvram.text.trim() || nvram.child("source")?.attr("file"),
        template: nvram.attr("template"),
        format: nvram.attr("format"),
      }),
    kernel: element.textAt("kernel"),
    initrd: element.textAt("initrd"),
    commandLine: element.textAt("cmdline"),
    bootDevices: some(element.all("boot").map((boot) => boot.requireAttr("dev"))),
  });
}

function readFeatures(element: XmlElement | undefined): DomainFeatures | undefined {
  if (element === undefined) return undefined;
  const toggled = (name: string) => {
    const feature = element.child(name);
    return feature === undefined ? undefined : (feature.flagAttr("state") ?? true);
  };
  return present<DomainFeatures>({
    acpi: element.has("acpi") ? true : undefined,
    apic: element.has("apic") ? true : undefined,
    pae: element.has("pae") ? true : undefined,
    smm: toggled("smm"),
    vmport: toggled("vmport"),
    kvmHidden: element.child("kvm/hidden")?.flagAttr("state"),
    ioapic: oneOf(element.child("ioapic")?.attr("driver"), ["kvm", "qemu"]),
    tcgCacheBytes: element.child("tcg")?.bytesAt("tb-cache"),
    hyperv: element.has("hyperv") ? true : undefined,
  });
}

function readClock(element: XmlElement | undefined): DomainClock | undefined {
  if (element === undefined) return undefined;
  type Timer = NonNullable<DomainClock["timers"]>[number];
  return present<DomainClock>({
    offset: element.attr("offset") ?? "utc",
    timers: some(
      element.all("timer").map((timer) =>
        present<Timer>({
          name: timer.requireAttr("name"),
          present: timer.flagAttr("present"),
          tickPolicy: timer.attr("tickpolicy"),
          mode: timer.attr("mode"),
          frequencyHz: timer.integerAttr("frequency"),
        }),
      ),
    ),
  });
}

function readLaunchSecurity(element: XmlElement | undefined): DomainDocument["launchSecurity"] {
  if (element === undefined) return undefined;
  return present<NonNullable<DomainDocument["launchSecurity"]>>({
    type: element.attr("type") ?? "",
    policy: element.integerAt("policy"),
    hasMore: element.children.some(({ localName }) => localName !== "policy") ? true : undefined,
  });
}

function readSecurityLabel(element: XmlElement): SecurityLabel {
  return present<SecurityLabel>({
    type: element.attr("type"),
    model: element.attr("model"),
    relabel: flag(element.attr("relabel")),
    label: element.textAt("label"),
    imageLabel: element.textAt("imagelabel"),
  });
}
