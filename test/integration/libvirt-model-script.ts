import { isDeepStrictEqual } from "node:util";
import * as libvirt from "../../agent/libvirt/index.ts";
import { parseNetwork, parseSecret } from "../../agent/libvirt/xml/index.ts";
import { eventually } from "../support/wait.ts";
import { deviceSteps, deviceVolumes, portsAndDrive } from "./libvirt-model-devices.ts";
import { saveSteps } from "./libvirt-model-saves.ts";
import { storageSteps } from "./libvirt-model-storage.ts";
import { answerOf, step, uuidOf, type Procedure, type Side, type Step } from "./libvirt-model-step.ts";
import { parseVmDomain } from "../../agent/vm/model/vm-domain.ts";

const dom = (number: number): libvirt.Domain => ({ name: "", uuid: uuidOf(number), id: -1 });
const noDomain = { name: "", uuid: "00000000-0000-0000-0000-000000000000", id: -1 };

const domainXml = (number: number, name: string, disk: string, memoryKib = 32_768): string => `
<domain type='qemu'>
  <name>${name}</name><uuid>${uuidOf(number)}</uuid>
  <metadata><other:thing xmlns:other='urn:other'>kept</other:thing></metadata>
  <memory unit='KiB'>${memoryKib}</memory><vcpu current='1'>2</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices><disk type='file' device='disk'>
    <driver name='qemu' type='raw'/><source file='${disk}'/><target dev='vda' bus='virtio'/><readonly/>
    <alias name='ua-disk-boot'/></disk></devices>
</domain>`;
const bootDisk = ({ images }: Side): string => `${images}/bootsector.img`;

const isRunning = ({ id }: libvirt.Domain): boolean => id >= 0;
const domainView = ({ dom: { name, uuid, id } }: { dom: libvirt.Domain }) => ({ name, uuid, runs: id >= 0 });
const xmlView = ({ xml }: { xml: string }) => {
  const { name, uuid, type, memoryBytes, currentMemoryBytes, vcpus, metadata, devices } = parseVmDomain(xml);
  const disks = devices.disks.map(({ alias, source, target, readOnly }) => ({
    ...(alias?.startsWith("ua-") === true ? { alias } : {}),
    source,
    device: target.device,
    readOnly,
  }));
  const { current, max } = vcpus;
  const hasId = /^<domain[^>]* id='\d+'/m.test(xml);
  return { name, uuid, type, memoryBytes, currentMemoryBytes, current, max, metadata, disks, hasId };
};
const inactive = { flags: libvirt.DomainXMLFlags.INACTIVE };
const shownAs = { flags: 0 };

const metadata = (number: number, text: string | null, flags: number) => ({
  dom: dom(number),
  type: libvirt.DomainMetadataType.ELEMENT,
  metadata:
    text === null ? null : `<vm><tenant>${text}</tenant><labels><label key="a">b</label></labels></vm>`,
  key: "socle",
  uri: "urn:socle:vm:1",
  flags,
});
const element = (number: number, flags: number) => ({
  dom: dom(number),
  type: libvirt.DomainMetadataType.ELEMENT,
  uri: "urn:socle:vm:1",
  flags,
});
const metadataView = ({ metadata: xml }: { metadata: string }): string =>
  xml.replaceAll(/\s+/g, "").replaceAll("'", '"');
const { LIVE, CONFIG } = libvirt.DomainModificationImpact;

const secretUuid = uuidOf(900);
const secret: libvirt.Secret = { uuid: secretUuid, usageType: 0, usageId: "" };
const secretXml = `<secret ephemeral='yes' private='yes'><uuid>${secretUuid}</uuid><description>d</description></secret>`;

const hostSteps: readonly Step[] = [
  step("version", libvirt.connectGetLibVersion, {}, ({ libVer }) => libVer >= 7_000_000),
  step("capabilities", libvirt.connectGetCapabilities, {}, ({ capabilities }) =>
    capabilities.includes("<host>"),
  ),
  step(
    "of domains",
    libvirt.connectGetDomainCapabilities,
    { emulatorbin: null, arch: "x86_64", machine: "q35", virttype: "qemu", flags: 0 },
    ({ capabilities }) => capabilities.includes("<domainCapabilities>"),
  ),
  step(
    "how many",
    libvirt.nodeGetMemoryStats,
    { nparams: 0, cellNum: -1, flags: 0 },
    ({ params, nparams }) => [params.length, nparams],
  ),
  step("all", libvirt.nodeGetMemoryStats, { nparams: 4, cellNum: -1, flags: 0 }, ({ params }) =>
    params.map(({ field }) => field),
  ),
  step("missing", libvirt.nodeDeviceGetXmlDesc, { name: "pci_9999_99_99_9", flags: 0 }),
  step("all", libvirt.connectListAllNetworks, { needResults: true, flags: 0 }, ({ nets }) =>
    nets.map(({ name }) => name),
  ),
  step("there", libvirt.networkLookupByName, { name: "default" }, ({ net }) => net.name),
  step("missing", libvirt.networkLookupByName, { name: "nowhere" }),
];

const leased = { usageType: libvirt.SecretUsageType.TLS, usageId: "socle-agent-lease" };
const leaseSecret: libvirt.Secret = { uuid: uuidOf(901), ...leased };
const leaseXml = (number: number, description: string, name = leased.usageId): string =>
  `<secret ephemeral='no' private='yes'><uuid>${uuidOf(number)}</uuid><description>${description}</description>
   <usage type='tls'><name>${name}</name></usage></secret>`;
const secretView = ({ secret: seen }: { secret: libvirt.Secret }) => seen;

const leaseSteps: readonly Step[] = [
  step("missing", libvirt.secretLookupByUsage, leased),
  step("missing", libvirt.secretGetXmlDesc, { secret: leaseSecret, flags: 0 }),
  step("of a usage", libvirt.secretDefineXml, { xml: leaseXml(901, "1"), flags: 0 }, secretView),
  step("of that usage, again", libvirt.secretDefineXml, { xml: leaseXml(901, "2"), flags: 0 }, secretView),
  step("there", libvirt.secretLookupByUsage, leased, secretView),
  step("there", libvirt.secretGetXmlDesc, { secret: leaseSecret, flags: 0 }, ({ xml }) => parseSecret(xml)),
  step("another of that usage", libvirt.secretDefineXml, { xml: leaseXml(902, "3"), flags: 0 }),
  step("of another usage now", libvirt.secretDefineXml, { xml: leaseXml(901, "4", "other"), flags: 0 }),
  step("of a usage", libvirt.secretUndefine, { secret: leaseSecret }),
  step("missing", libvirt.secretUndefine, { secret: leaseSecret }),
];

const secretSteps: readonly Step[] = [
  step("missing", libvirt.secretLookupByUuid, { uuid: secretUuid }),
  step("missing", libvirt.secretSetValue, { secret, value: Buffer.from("x"), flags: 0 }),
  step("new", libvirt.secretDefineXml, { xml: secretXml, flags: 0 }, (answer) => answer.secret.uuid),
  step("there", libvirt.secretLookupByUuid, { uuid: secretUuid }, (answer) => answer.secret.uuid),
  step("there", libvirt.secretSetValue, { secret, value: Buffer.from("x"), flags: 0 }),
  step("again", libvirt.secretDefineXml, { xml: secretXml, flags: 0 }, (answer) => answer.secret.uuid),
  step("there", libvirt.secretUndefine, { secret }),
  step("missing", libvirt.secretUndefine, { secret }),
];

const define = (what: string, xml: (side: Side) => string): Step =>
  step(what, libvirt.domainDefineXmlFlags, (side) => ({ xml: xml(side), flags: 1 }), domainView);
const state = (what: string, number: number): Step =>
  step(what, libvirt.domainGetState, { dom: dom(number), flags: 0 });
const start = (what: string, number: number, flags = 0): Step =>
  step(what, libvirt.domainCreateWithFlags, { dom: dom(number), flags }, domainView);
const destroy = (what: string, number: number): Step =>
  step(what, libvirt.domainDestroyFlags, { dom: dom(number), flags: 0 });
const undefine = (what: string, number: number): Step =>
  step(what, libvirt.domainUndefineFlags, { dom: dom(number), flags: 0 });
const xml = (what: string, number: number, how: { flags: number }): Step =>
  step(what, libvirt.domainGetXmlDesc, { dom: dom(number), ...how }, xmlView);
const ours = ({ uuid }: { uuid: string }): boolean => uuid.startsWith("0d000000");

const stats = (what: string): Step =>
  step(
    what,
    libvirt.connectGetAllDomainStats,
    { doms: [], stats: 1 | 4 | 8 | 32, flags: 0 },
    ({ retStats }) =>
      retStats
        .filter((record) => ours(record.dom))
        .map(({ dom: { name }, params }) => {
          const values = new Map(params.map(({ field, value }) => [field, value.value]));
          const shown = ["state.state", "state.reason", "balloon.maximum", "vcpu.current", "vcpu.maximum"];
          const has = ["balloon.rss", "vcpu.0.state", "vcpu.0.time", "block.count", "block.0.name"];
          return [name, shown.map((field) => values.get(field)), has.filter((field) => values.has(field))];
        }),
  );

/** The state of the monitor at rest. libvirt itself occupies the monitor for a moment, as after a reset. */
const control = (what: string, number: number): Step => {
  const { JOB, OCCUPIED } = libvirt.DomainControlState;
  const busyStates = new Set<number>([JOB, OCCUPIED]);
  const asked = step(what, libvirt.domainGetControlInfo, { dom: dom(number), flags: 0 }, ({ state: now }) =>
    busyStates.has(now) ? "busy" : now,
  );
  const atRest = async (side: Side): Promise<unknown> => {
    const answer = await asked.run(side);
    return isDeepStrictEqual(answer, { ok: "busy" }) ? undefined : answer;
  };
  return {
    ...asked,
    run: (side) => eventually(() => atRest(side), { what: "libvirt to leave the monitor" }),
  };
};

/** Every call that needs a guest, on a stopped, a running and a missing domain. */
const onGuest = (what: string, number: number): readonly Step[] => [
  state(what, number),
  step(what, libvirt.domainHasManagedSaveImage, { dom: dom(number), flags: 0 }),
  step(what, libvirt.domainShutdownFlags, { dom: dom(number), flags: 0 }),
  step(what, libvirt.domainReboot, { dom: dom(number), flags: 0 }),
  step(what, libvirt.domainReset, { dom: dom(number), flags: 0 }),
  step(what, libvirt.domainSuspend, { dom: dom(number) }),
  state(`${what}, suspended`, number),
  step(`${what}, again`, libvirt.domainSuspend, { dom: dom(number) }),
  step(what, libvirt.domainResume, { dom: dom(number) }),
  state(`${what}, resumed`, number),
  step(`${what}, again`, libvirt.domainResume, { dom: dom(number) }),
  control(what, number),
  step(what, libvirt.domainGetJobStats, { dom: dom(number), flags: 0 }, ({ type }) => type),
  step(what, libvirt.domainIsActive, { dom: dom(number) }),
  step(what, libvirt.domainGetInfo, { dom: dom(number) }, ({ state: now, maxMem, nrVirtCpu }) => [
    now,
    maxMem,
    nrVirtCpu,
  ]),
  step(`${what}, live`, libvirt.domainSetMetadata, metadata(number, "live", LIVE)),
  step(`${what}, live`, libvirt.domainGetMetadata, element(number, LIVE), metadataView),
  step(`${what}, as configured`, libvirt.domainGetMetadata, element(number, CONFIG), metadataView),
  step(`${what}, as configured`, libvirt.domainSetMetadata, metadata(number, "config", CONFIG)),
  step(`${what}, as configured`, libvirt.domainGetMetadata, element(number, CONFIG), metadataView),
  step(`${what}, as shown`, libvirt.domainGetMetadata, element(number, 0), metadataView),
  step(`${what}, both`, libvirt.domainSetMetadata, metadata(number, "both", LIVE | CONFIG)),
  xml(`${what}, as shown`, number, shownAs),
  xml(`${what}, as configured`, number, inactive),
  step(`${what}, removed`, libvirt.domainSetMetadata, metadata(number, null, CONFIG)),
  step(`${what}, removed`, libvirt.domainGetMetadata, element(number, CONFIG), metadataView),
  // The agent waits for the reply alone; libvirt's list of events is long.
  step(what, libvirt.domainGetPerfEvents, { dom: dom(number), flags: 0 }, () => "a list"),
  step(what, libvirt.domainSetAutostart, { dom: dom(number), autostart: true }),
  step(what, libvirt.domainGetAutostart, { dom: dom(number) }),
  step(what, libvirt.domainSetVcpusFlags, { dom: dom(number), nvcpus: 2, flags: CONFIG }),
  step(`${what}, too many`, libvirt.domainSetVcpusFlags, { dom: dom(number), nvcpus: 3, flags: CONFIG }),
  step(what, libvirt.domainSetMemoryFlags, { dom: dom(number), memory: 65_536, flags: CONFIG | 4 }),
  xml(`${what}, changed`, number, inactive),
  stats(what),
];

const domainSteps: readonly Step[] = [
  ...onGuest("missing", 1),
  start("missing", 1),
  destroy("missing", 1),
  undefine("missing", 1),
  step("a missing domain's title", libvirt.domainGetMetadata, {
    dom: noDomain,
    type: 1,
    uri: null,
    flags: 0,
  }),
  step("a missing domain's performance events", libvirt.domainGetPerfEvents, { dom: noDomain, flags: 0 }),
  define("new", (side) => domainXml(1, "one", bootDisk(side))),
  define("again", (side) => domainXml(1, "one", bootDisk(side))),
  define("a name that is taken", (side) => domainXml(2, "one", bootDisk(side))),
  define("another name for it", (side) => domainXml(1, "two", bootDisk(side))),
  define("no XML", () => "<domain"),
  step("there", libvirt.domainLookupByUuid, { uuid: uuidOf(1) }, domainView),
  step("missing", libvirt.domainLookupByUuid, { uuid: uuidOf(2) }, domainView),
  step("there", libvirt.domainLookupByName, { name: "one" }, domainView),
  step("missing", libvirt.domainLookupByName, { name: "two" }, domainView),
  ...onGuest("off", 1),
  destroy("off", 1),
  start("off", 1),
  start("running", 1),
  ...onGuest("running", 1),
  ...[1, 2].map((flags) =>
    step(`flags ${flags}`, libvirt.connectListAllDomains, { needResults: true, flags }, ({ domains }) =>
      domains.filter(ours).map(({ name, id }) => [name, isRunning({ name, id, uuid: "" })]),
    ),
  ),
  define("while it runs", (side) => domainXml(1, "one", bootDisk(side), 40_960)),
  xml("running, defined anew", 1, shownAs),
  xml("running, as configured anew", 1, inactive),
  destroy("running", 1),
  state("destroyed", 1),
  xml("after its end", 1, shownAs),
  start("paused", 1, libvirt.DomainCreateFlags.START_PAUSED),
  state("started paused", 1),
  undefine("running", 1),
  ...onGuest("transient", 1),
  undefine("transient", 1),
  destroy("transient", 1),
  state("gone", 1),
  define("without its disk", ({ images }) => domainXml(3, "three", `${images}/missing.img`)),
  start("without its disk", 3),
  state("failed", 3),
  undefine("off", 3),
  step(
    "transient",
    libvirt.domainCreateXml,
    (side) => ({ xmlDesc: domainXml(4, "four", bootDisk(side)), flags: 1 | 2 }),
    domainView,
  ),
  step(
    "again",
    libvirt.domainCreateXml,
    (side) => ({ xmlDesc: domainXml(4, "four", bootDisk(side)), flags: 1 | 2 }),
    domainView,
  ),
  state("created", 4),
  destroy("created", 4),
  state("gone", 4),
];

/** Not on a running guest: after an NMI this one ends without the event of a shutdown. */
const nmi = (what: string, number: number): Step =>
  step(what, libvirt.domainInjectNmi, { dom: dom(number), flags: 0 });

const hotplugSteps: readonly Step[] = [
  ...deviceVolumes,
  ...deviceSteps("missing", 5),
  define("with ports and a drive", (side) =>
    domainXml(5, "five", bootDisk(side)).replace("<devices>", `<devices>${portsAndDrive}`),
  ),
  ...deviceSteps("off", 5),
  nmi("off", 5),
  start("off", 5),
  ...deviceSteps("running", 5),
  destroy("with devices", 5),
  xml("after its end, with devices", 5, inactive),
  undefine("with devices", 5),
];

/** Needs the `net` of a lookup. */
const networkSteps: readonly Step[] = [
  ofNetwork(libvirt.networkIsActive, (net) => ({ net })),
  ofNetwork(
    libvirt.networkGetXmlDesc,
    (net) => ({ net, flags: 0 }),
    ({ xml: text }) => {
      const { name, bridge } = parseNetwork(text);
      return { name, hasBridge: bridge !== undefined };
    },
  ),
];

function ofNetwork<A, R>(
  procedure: Procedure<A, R>,
  args: (net: libvirt.Network) => A,
  view: (result: R) => unknown = (result) => result,
): Step {
  return {
    name: `${procedure.name}: default`,
    procedure: procedure.name,
    run: (side) =>
      answerOf(async () => {
        const { net } = await side.libvirt.call(libvirt.networkLookupByName, { name: "default" });
        return view(await side.libvirt.call(procedure, args(net)));
      }, side),
  };
}

export const script: readonly Step[] = [
  ...hostSteps,
  ...networkSteps,
  ...storageSteps,
  ...secretSteps,
  ...leaseSteps,
  ...domainSteps,
  ...hotplugSteps,
  ...saveSteps(
    6,
    define("to be saved", (side) => domainXml(6, "six", bootDisk(side))),
  ),
];
