import type { VmFilter } from "../../gen/socle/v1/VmFilter.ts";
import { VmState } from "../../gen/socle/v1/VmState.ts";
import type { CloudInit__Output } from "../../gen/socle/v1/CloudInit.ts";
import type { DiskLimits__Output } from "../../gen/socle/v1/DiskLimits.ts";
import type { Disk__Output } from "../../gen/socle/v1/Disk.ts";
import type { LaunchSecurity__Output } from "../../gen/socle/v1/LaunchSecurity.ts";
import type { NicAddress__Output } from "../../gen/socle/v1/NicAddress.ts";
import type { NicLimits__Output } from "../../gen/socle/v1/NicLimits.ts";
import type { Vm__Output } from "../../gen/socle/v1/Vm.ts";
import { exitCodes, usageError } from "../errors.ts";
import { enumWord, formatAge, formatBytes, formatDuration, printable } from "../format.ts";
import type { Paint } from "../io.ts";
import { parseLabels } from "../labels.ts";
import type { Command } from "../session.ts";
import { renderFields, renderTable, type Column } from "../table.ts";
import { machineTexts } from "../vm-machine-text.ts";
import { allVms, byName, isSeen, othersText, paintState } from "../vm-sight.ts";

interface ListOptions {
  readonly tenant?: string;
  readonly state?: readonly string[];
  readonly label?: readonly string[];
  readonly name?: string;
  readonly managed?: boolean;
  readonly unmanaged?: boolean;
  readonly quiet?: boolean;
}

export const listVms: Command = async (session, _args, options: ListOptions) => {
  const filter = vmFilter(options);
  const agent = await session.agent();
  const { vms, complete, observedAt } = await allVms(agent, filter);
  vms.sort(byName);
  if (session.json) session.printJson({ vms, complete, observedAt });
  else if (options.quiet === true) session.print(vms.map(({ name }) => `${printable(name)}\n`).join(""));
  else if (complete || vms.length > 0) session.print(renderVms(vms, session.paint, session.nowMs()));
  if (!complete && !session.json) {
    const warning = vms.some(isSeen)
      ? othersText
      : observedAt === null
        ? "VM list unavailable: libvirt has not reported all VMs yet"
        : `libvirt does not answer: these are the VMs as last seen ${formatAge(observedAt, session.nowMs())} ago`;
    session.note(session.paintNote("yellow", `${warning}.`));
  }
  return complete || vms.length > 0 ? exitCodes.ok : exitCodes.unavailable;
};

function vmFilter(options: ListOptions): VmFilter {
  if (options.managed === true && options.unmanaged === true) {
    throw usageError("--managed and --unmanaged exclude each other");
  }
  return {
    tenant: options.tenant ?? "",
    namePrefix: options.name ?? "",
    labels: parseLabels(options.label),
    states: (options.state ?? []).map(vmState),
    managed:
      options.managed === true
        ? "MANAGED_FILTER_MANAGED"
        : options.unmanaged === true
          ? "MANAGED_FILTER_UNMANAGED"
          : "MANAGED_FILTER_UNSPECIFIED",
  };
}

function vmState(word: string): VmState {
  const found = Object.values(VmState).find(
    (state) => state !== "VM_STATE_UNSPECIFIED" && enumWord(state, "VM_STATE") === word.toLowerCase(),
  );
  if (found !== undefined) return found;
  const known = Object.values(VmState)
    .slice(1)
    .map((state) => enumWord(state, "VM_STATE"));
  throw usageError(`--state takes one of ${known.join(", ")}, not '${word}'`);
}

/** VMs as a table, or a note when there are none. */
function renderVms(vms: readonly Vm__Output[], paint: Paint, nowMs: number): string {
  if (vms.length === 0) return "no VMs\n";
  const columns: Column<Vm__Output>[] = [
    { title: "NAME", cell: ({ name }) => name },
    { title: "STATE", cell: stateText, paint: (text, _, colour) => paintState(text, colour) },
    { title: "VCPUS", cell: ({ vcpus }) => String(vcpus), align: "right" },
    { title: "MEMORY", cell: ({ memoryBytes }) => formatBytes(memoryBytes), align: "right" },
    {
      title: "RSS",
      cell: ({ stats }) => (stats?.memoryRssBytes ? formatBytes(stats.memoryRssBytes) : "-"),
      align: "right",
    },
    { title: "TENANT", cell: tenantText },
    { title: "AGE", cell: ({ createdAt }) => formatAge(createdAt, nowMs), align: "right" },
    { title: "ID", cell: ({ vmId }) => vmId },
  ];
  return renderTable(columns, vms, paint);
}

const tenantText = ({ tenant, managed, unreadable }: Vm__Output): string => {
  if (!managed) return unreadable === "" ? "(unmanaged)" : "(unreadable)";
  return tenant || (unreadable === "" ? "-" : "(unreadable)");
};

/** "running", and what matters besides: not observed now, not responding, or paused by a fault. */
export function stateText(vm: Vm__Output): string {
  const state = enumWord(vm.state, "VM_STATE");
  if (!isSeen(vm)) return `${state}?`;
  if (vm.stats?.unresponsive === true) return `${state} (unresponsive)`;
  const expected = ["", "BOOTED", "USER", "SHUTDOWN", "UNPAUSED", "UNKNOWN", "DESTROYED"];
  return state === "running" || expected.includes(vm.stateReason)
    ? state
    : `${state} (${vm.stateReason.toLowerCase()})`;
}

export const showVm: Command = async (session, args) => {
  const agent = await session.agent();
  const vm = await agent.ask(agent.contract.vms.GetVm, { vm: args[0] ?? "" });
  session.show(vm, () => renderVm(vm, session.paint, session.nowMs()));
};

/** One VM, a fact per line. */
function renderVm(vm: Vm__Output, paint: Paint, nowMs: number): string {
  const { spec, stats, observation } = vm;
  const isDeaf = stats?.unresponsive === true;
  const seen = !isSeen(vm)
    ? "; libvirt does not answer"
    : isDeaf
      ? `; the guest does not respond, and its readings are ${formatAge(stats.sampledAt, nowMs)} old`
      : "";
  const fields: [string, string][] = [
    ["name", vm.name],
    ["id", vm.vmId],
    ["state", `${paintState(stateText(vm), paint)}  ${paint("dim", vm.stateReason)}`],
    ["saved state", vm.savedState === true ? "yes: a start continues from it" : ""],
    ["seen", `${formatAge(observation?.observedAt, nowMs)} ago${seen}`],
    ["managed", vm.managed ? "yes" : "no: Socle did not create it and never changes it"],
    ["unreadable", vm.unreadable],
    ["tenant", vm.tenant],
    ["created", vm.createdAt === null ? "" : `${formatAge(vm.createdAt, nowMs)} ago`],
    ["vcpus", vcpusText(vm)],
    ["memory", memoryText(vm)],
    ["boot order", (spec?.bootOrder ?? []).join(", ")],
    ["accelerator", enumWord(vm.accelerator, "ACCELERATOR").replace("unspecified", "")],
    ["firmware", spec === null ? "" : enumWord(spec.firmware, "FIRMWARE").replace("unspecified", "bios")],
    ["tpm", spec?.tpm === true ? "2.0" : ""],
    ["launch security", launchSecurityText(spec?.launchSecurity)],
    ...(spec?.disks ?? []).map((disk): [string, string] => ["disk", diskText(disk)]),
    ...nicTexts(vm).map((text): [string, string] => ["nic", text]),
    ...(spec?.kernelBoot ? [["kernel", kernelText(spec.kernelBoot)] satisfies [string, string]] : []),
    ...machineTexts(vm),
    ["cloud-init", spec?.cloudInit ? cloudInitText(spec.cloudInit) : ""],
    ...Object.entries(vm.labels).map(([key, value]): [string, string] => ["label", `${key}=${value}`]),
    ["cpu time", stats?.cpuSeconds === undefined ? "" : formatDuration(stats.cpuSeconds * 1000)],
    ["rss", stats?.memoryRssBytes ? formatBytes(stats.memoryRssBytes) : ""],
    [
      "stats",
      stats === null
        ? ""
        : `${formatAge(stats.sampledAt, nowMs)} old${stats.unresponsive ? paint("red", "  unresponsive") : ""}`,
    ],
    ["epoch", String(vm.placementEpoch)],
    ["etag", vm.etag],
  ];
  return renderFields(
    fields.map(([name, value]) => [name, name === "state" || name === "stats" ? value : printable(value)]),
    paint,
  );
}

function vcpusText({ vcpus, spec }: Vm__Output): string {
  const { maxVcpus = 0 } = spec ?? {};
  const asked = spec?.vcpus || vcpus;
  const most = maxVcpus > 0 ? `, maximum ${maxVcpus}` : "";
  return `${vcpus}${asked === vcpus ? "" : ` (${asked} asked for)`}${most}`;
}

/** The guest's balloon may leave it less than it can take, and it may have taken less than it was given. */
function memoryText({ memoryBytes, spec, stats }: Vm__Output): string {
  const { maxMemoryBytes = 0 } = spec ?? {};
  const asked = spec?.memoryBytes || memoryBytes;
  const now = stats?.memoryBalloonBytes ?? memoryBytes;
  const notes = [
    asked === memoryBytes ? "" : `${formatBytes(asked)} asked for`,
    now === memoryBytes ? "" : `${formatBytes(now)} in the guest now`,
  ].filter((note) => note !== "");
  const most = maxMemoryBytes > 0 ? `, maximum ${formatBytes(maxMemoryBytes)}` : "";
  const counted = asked < memoryBytes ? "; the rest counts until the next start" : "";
  return `${formatBytes(memoryBytes)}${notes.length === 0 ? "" : ` (${notes.join(", ")}${counted})`}${most}`;
}

const launchSecurityText = (kind: LaunchSecurity__Output | undefined): string =>
  kind === undefined || kind === "LAUNCH_SECURITY_UNSPECIFIED" ? "" : enumWord(kind, "LAUNCH_SECURITY");

/** "front  network default  52:54:00:12:34:56  192.0.2.7/24", the addresses as leased. */
function nicTexts({ spec, nics }: Vm__Output): string[] {
  if (spec === null)
    return nics.map(({ mac, device, addresses }) => joined([mac, device, ...addresses.map(addressText)]));
  return spec.nics.map(({ name, network, bridge = "", mac, limits, linkDown }) => {
    const now = nics.find((nic) => nic.name === name);
    const source = network ? `network ${network}` : `bridge ${bridge}`;
    const addresses = now?.addresses.map(addressText) ?? [];
    return joined([
      name,
      source,
      now?.mac ?? mac,
      linkDown ? "link down" : "",
      limitsText(limits),
      ...addresses,
    ]);
  });
}

const joined = (parts: readonly string[]): string => parts.filter((part) => part !== "").join("  ");

const addressText = ({ address, prefixLength }: NicAddress__Output): string => `${address}/${prefixLength}`;

/** "at most 100 MiB/s in, 50 MiB/s out". */
function limitsText(limits: NicLimits__Output | null): string {
  const { inboundBytesPerSecond, outboundBytesPerSecond } = limits ?? {};
  return atMost([
    [inboundBytesPerSecond, "/s in"],
    [outboundBytesPerSecond, "/s out"],
  ]);
}

/** Rates in bytes, and counts; those that are undefined are left out. */
function atMost(
  rates: readonly (readonly [number | undefined, string])[],
  counts: readonly (readonly [number | undefined, string])[] = [],
): string {
  const shown = [
    ...rates.flatMap(([rate, unit]) => (rate === undefined ? [] : [`${formatBytes(rate)}${unit}`])),
    ...counts.flatMap(([count, unit]) => (count === undefined ? [] : [`${count}${unit}`])),
  ];
  return shown.length === 0 ? "" : `at most ${shown.join(", ")}`;
}

/** "at most 100 MiB/s read, 500 operations/s  for 30 s at most 900 operations/s". */
function diskLimitsText(limits: DiskLimits__Output | null): string {
  const mean = atMost(
    [
      [limits?.totalBytesPerSecond, "/s"],
      [limits?.readBytesPerSecond, "/s read"],
      [limits?.writeBytesPerSecond, "/s written"],
    ],
    [
      [limits?.totalIops, " operations/s"],
      [limits?.readIops, " reads/s"],
      [limits?.writeIops, " writes/s"],
    ],
  );
  const burst = atMost(
    [
      [limits?.totalBurstBytesPerSecond, "/s"],
      [limits?.readBurstBytesPerSecond, "/s read"],
      [limits?.writeBurstBytesPerSecond, "/s written"],
    ],
    [
      [limits?.totalBurstIops, " operations/s"],
      [limits?.readBurstIops, " reads/s"],
      [limits?.writeBurstIops, " writes/s"],
    ],
  );
  return joined([mean, burst === "" ? "" : `for ${limits?.burstSeconds ?? 1} s ${burst}`]);
}

/** "root  default/vm-1.qcow2", the new volume that was requested, or the medium of a drive. */
export function diskText(disk: Disk__Output): string {
  const { name, volume, newVolume, cdrom, readOnly, limits } = disk;
  if (cdrom) {
    const medium = cdrom.volume ? `${cdrom.volume.pool}/${cdrom.volume.volume}` : "no medium";
    return joined([name, "CD-ROM drive", medium]);
  }
  const source = volume
    ? `${volume.pool}/${volume.volume}`
    : newVolume
      ? `made for this VM in ${newVolume.pool}` +
        (newVolume.capacityBytes > 0 ? `, ${formatBytes(newVolume.capacityBytes)}` : "") +
        (newVolume.baseVolume === "" ? "" : ` over ${newVolume.baseVolume}`) +
        (newVolume.encryption === "VOLUME_ENCRYPTION_LUKS" ? ", encrypted" : "")
      : "";
  return joined([name, source, readOnly ? "read-only" : "", diskLimitsText(limits)]);
}

const cloudInitText = ({ hostname, sshKeys, pool }: CloudInit__Output): string =>
  [`seed in ${pool}`, hostname, sshKeys.length === 1 ? "1 key" : `${sshKeys.length} keys`]
    .filter((part) => part !== "" && part !== "0 keys")
    .join("  ");

type KernelBoot = NonNullable<NonNullable<Vm__Output["spec"]>["kernelBoot"]>;

const kernelText = ({ kernel, initrd, commandLine }: KernelBoot): string =>
  [
    kernel === null ? "" : `${kernel.pool}/${kernel.volume}`,
    initrd === null ? "" : `initrd ${initrd.pool}/${initrd.volume}`,
    commandLine,
  ]
    .filter((part) => part !== "")
    .join("  ");
