import { isFresh } from "../../host/health/readers/reader.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { DiskStats, NicStats, VcpuStats, Vm, VmStats } from "../../vm/model/vm.ts";
import { collector, type Collector } from "../collector.ts";
import { counter, gauge, type Family } from "../family.ts";
import type { Sources } from "../sources.ts";

/** How often a guest that Socle created reports its memory. */
const GUEST_INTERVAL_MS = 10_000;
const perVm = ["vm"] as const;
const perVcpu = ["vm", "vcpu"] as const;
const perDevice = ["vm", "device"] as const;

export const vmCpu = ofVm("vm_cpu", [
  [counter("socle_vm_cpu_seconds_total", "CPU time the VM used.", perVm), (vm) => vm.cpuSeconds],
  [
    counter("socle_vm_cpu_user_seconds_total", "CPU time the VM's process used in user mode.", perVm),
    (vm) => vm.cpuUserSeconds,
  ],
  [
    counter(
      "socle_vm_cpu_system_seconds_total",
      "CPU time the VM's process used in the host's kernel.",
      perVm,
    ),
    (vm) => vm.cpuSystemSeconds,
  ],
]);

export const vmVcpu = ofParts(
  "vm_vcpu",
  (vm) => vm.vcpus,
  (vcpu: VcpuStats) => vcpu.index,
  [
    [counter("socle_vm_vcpu_seconds_total", "CPU time the vCPU used.", perVcpu), (vcpu) => vcpu.seconds],
    [
      counter("socle_vm_vcpu_wait_seconds_total", "Time the vCPU waited for input or output.", perVcpu),
      (vcpu) => vcpu.waitSeconds,
    ],
    [
      counter(
        "socle_vm_vcpu_delay_seconds_total",
        "Time the vCPU was ready to run and the host did not run it (steal).",
        perVcpu,
      ),
      (vcpu) => vcpu.delaySeconds,
    ],
  ],
);

export const vmMemory = ofVm("vm_memory", [
  [
    gauge("socle_vm_memory_balloon_bytes", "Memory the balloon leaves to the guest.", perVm),
    (vm) => vm.balloonBytes,
  ],
  [
    gauge("socle_vm_memory_maximum_bytes", "Most memory the balloon can leave to the guest.", perVm),
    (vm) => vm.balloonMaximumBytes,
  ],
  [
    gauge("socle_vm_memory_rss_bytes", "The host's memory that the VM's process holds.", perVm),
    (vm) => vm.rssBytes,
  ],
]);

/** A guest's stale report (it is paused, or its balloon driver is gone) counts as unread. */
const guestReported =
  (read: (stats: VmStats) => number | undefined): Read<VmStats> =>
  (stats, { nowMs, sampleIntervalMs }) => {
    const intervalMs = Math.max(sampleIntervalMs, GUEST_INTERVAL_MS);
    return isFresh({ ageMs: nowMs() - (stats.guestReportedAtMs ?? 0), intervalMs }) ? read(stats) : undefined;
  };

export const vmGuest = ofVm("vm_guest", [
  [
    gauge("socle_vm_guest_memory_available_bytes", "Memory the guest sees, as it reports.", perVm),
    guestReported((vm) => vm.guestAvailableBytes),
  ],
  [
    gauge("socle_vm_guest_memory_usable_bytes", "Memory the guest could use without swapping.", perVm),
    guestReported((vm) => vm.guestUsableBytes),
  ],
  [
    gauge("socle_vm_guest_memory_unused_bytes", "Memory the guest does not use for anything.", perVm),
    guestReported((vm) => vm.guestUnusedBytes),
  ],
  [
    gauge("socle_vm_guest_memory_disk_caches_bytes", "Memory the guest uses for disk caches.", perVm),
    guestReported((vm) => vm.guestDiskCachesBytes),
  ],
  [
    counter("socle_vm_guest_swap_in_bytes_total", "Bytes the guest read back from its swap.", perVm),
    guestReported((vm) => vm.guestSwapInBytes),
  ],
  [
    counter("socle_vm_guest_swap_out_bytes_total", "Bytes the guest wrote to its swap.", perVm),
    guestReported((vm) => vm.guestSwapOutBytes),
  ],
  [
    counter("socle_vm_guest_major_faults_total", "Page faults in the guest that needed its disk.", perVm),
    guestReported((vm) => vm.guestMajorFaults),
  ],
  [
    counter("socle_vm_guest_minor_faults_total", "Page faults in the guest that did not.", perVm),
    guestReported((vm) => vm.guestMinorFaults),
  ],
]);

const network = (
  what: string,
  help: string,
  read: (nic: NicStats) => number | undefined,
): FieldOf<NicStats> => [counter(`socle_vm_network_${what}_total`, help, perDevice), read];

export const vmNetwork = ofParts(
  "vm_network",
  (vm) => vm.nics,
  (nic: NicStats) => nic.device,
  [
    network("receive_bytes", "Bytes the guest received.", (nic) => nic.receiveBytes),
    network("receive_packets", "Packets the guest received.", (nic) => nic.receivePackets),
    network("receive_errors", "Errors while the guest received.", (nic) => nic.receiveErrors),
    network("receive_drops", "Packets to the guest that were dropped.", (nic) => nic.receiveDrops),
    network("transmit_bytes", "Bytes the guest sent.", (nic) => nic.transmitBytes),
    network("transmit_packets", "Packets the guest sent.", (nic) => nic.transmitPackets),
    network("transmit_errors", "Errors while the guest sent.", (nic) => nic.transmitErrors),
    network("transmit_drops", "Packets from the guest that were dropped.", (nic) => nic.transmitDrops),
  ],
);

const diskCounter = (
  what: string,
  help: string,
  read: (disk: DiskStats) => number | undefined,
): FieldOf<DiskStats> => [counter(`socle_vm_disk_${what}_total`, help, perDevice), read];

const diskSize = (
  what: string,
  help: string,
  read: (disk: DiskStats) => number | undefined,
): FieldOf<DiskStats> => [gauge(`socle_vm_disk_${what}_bytes`, help, perDevice), read];

export const vmDisk = ofParts(
  "vm_disk",
  (vm) => vm.disks,
  (disk: DiskStats) => disk.device,
  [
    diskCounter("read_ops", "Reads the guest requested.", (disk) => disk.readOps),
    diskCounter("read_bytes", "Bytes the guest read.", (disk) => disk.readBytes),
    diskCounter("read_seconds", "Time that reads took.", (disk) => disk.readSeconds),
    diskCounter("write_ops", "Writes the guest requested.", (disk) => disk.writeOps),
    diskCounter("write_bytes", "Bytes the guest wrote.", (disk) => disk.writeBytes),
    diskCounter("write_seconds", "Time that writes took.", (disk) => disk.writeSeconds),
    diskCounter("flush_ops", "Flushes the guest requested.", (disk) => disk.flushOps),
    diskCounter("flush_seconds", "Time that flushes took.", (disk) => disk.flushSeconds),
    diskSize("capacity", "The disk's size as the guest sees it.", (disk) => disk.capacityBytes),
    diskSize("allocated", "Bytes of the disk's image that are written.", (disk) => disk.allocatedBytes),
    diskSize("physical", "Size of the disk's image on the host.", (disk) => disk.physicalBytes),
  ],
);

type FieldOf<Part> = readonly [
  Family<readonly ["vm", "device"]> | Family<readonly ["vm", "vcpu"]>,
  (part: Part) => number | undefined,
];

export const vmMigration = ofVm("vm_migration", [
  [
    gauge("socle_vm_migration_processed_bytes", "Memory and disks that the VM's migration has sent.", perVm),
    (vm) => vm.migrationProcessedBytes,
  ],
  [
    gauge(
      "socle_vm_migration_remaining_bytes",
      "Memory and disks that the migration has still to send.",
      perVm,
    ),
    (vm) => vm.migrationRemainingBytes,
  ],
]);

type Read<Part> = (part: Part, sources: Sources) => number | undefined;

/** A collector of per-VM families, each with the statistic it shows. */
function ofVm(
  name: string,
  fields: readonly (readonly [Family<readonly ["vm"]>, Read<VmStats>])[],
): () => Collector {
  const families = Object.fromEntries(fields.map(([family]) => [family.name, family]));
  return collector(name, families, function* (sources, emit) {
    const emitters = fields.map(([family, read]) => [emit[family.name], read] as const);
    for (const { id, stats } of sampled(sources)) {
      for (const [add, read] of emitters) add?.(read(stats, sources), id);
      yield;
    }
    return sources.vms.lastReadings?.atMs;
  });
}

/** The same for parts of a VM; `label` distinguishes the parts. */
function ofParts<Part>(
  name: string,
  parts: (stats: VmStats) => readonly Part[],
  label: (part: Part) => string | number,
  fields: readonly FieldOf<Part>[],
): () => Collector {
  const families: Record<string, Family<readonly [string, string]>> = Object.fromEntries(
    fields.map(([family]) => [family.name, family]),
  );
  return collector(name, families, function* (sources, emit) {
    const emitters = fields.map(([family, read]) => [emit[family.name], read] as const);
    for (const { id, stats } of sampled(sources)) {
      for (const part of parts(stats)) {
        const partLabel = label(part);
        for (const [add, read] of emitters) add?.(read(part), id, partLabel);
      }
      yield;
    }
    return sources.vms.lastReadings?.atMs;
  });
}

type SampledVm = Vm & { readonly stats: VmStats };
const hasStats = (vm: Vm): vm is SampledVm => vm.stats !== undefined;

/** The VMs with recent statistics. Throws `unavailable` when no recent sampling finished. */
function* sampled({
  vms,
  monotonicMs,
  sampleIntervalMs,
}: Sources): Generator<SampledVm, undefined, undefined> {
  const now = monotonicMs();
  const isRecent = (atMonotonicMs: number): boolean =>
    isFresh({ ageMs: now - atMonotonicMs, intervalMs: sampleIntervalMs });
  if (vms.lastReadings === undefined)
    throw new SocleError("unavailable", "NOT_SAMPLED_YET", "VM statistics have not been read yet");
  if (!isRecent(vms.lastReadings.atMonotonicMs))
    throw new SocleError("unavailable", "STATS_STALE", "no recent reading of VM statistics");
  for (const vm of vms.all()) {
    if (hasStats(vm) && isRecent(vm.stats.sampledAtMonotonicMs)) yield vm;
  }
}
