import { isFresh } from "../../host/health/readers/reader.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { DiskStats, NicStats, VcpuStats, Vm, VmStats } from "../../vm/model/vm.ts";
import { collector, type Collector } from "../collector.ts";
import { counter, gauge, type Family } from "../family.ts";
import type { Sources } from "../sources.ts";

/** How often a guest that Socle created reports its memory. */
const GUEST_INTERVAL_MS = 10_000;

/** A family, and the value that it shows of an item: of a VM's statistics, or of a part of them. */
type Field<Item> = readonly [family: Family, read: (item: Item) => number | undefined];
/** An item that may have this value. */
type Having<Key extends string> = { readonly [K in Key]?: number | undefined };

/** Declares fields whose families have a prefix and their labels in common. */
const fieldsOf = (prefix: string, ...labels: readonly string[]) => ({
  counter: <Key extends string>(name: `${string}_total`, help: string, key: Key): Field<Having<Key>> => [
    counter(`${prefix}_${name}`, help, labels),
    (item) => item[key],
  ],
  gauge: <Key extends string>(name: string, help: string, key: Key): Field<Having<Key>> => [
    gauge(`${prefix}_${name}`, help, labels),
    (item) => item[key],
  ],
});

const perVm = fieldsOf("socle_vm", "vm");
const perGuest = fieldsOf("socle_vm_guest", "vm");
const perVcpu = fieldsOf("socle_vm_vcpu", "vm", "vcpu");
const perNic = fieldsOf("socle_vm_network", "vm", "device");
const perDisk = fieldsOf("socle_vm_disk", "vm", "device");

export const vmCpu = ofVm("vm_cpu", [
  perVm.counter("cpu_seconds_total", "CPU time the VM used.", "cpuSeconds"),
  perVm.counter("cpu_user_seconds_total", "CPU time the VM's process used in user mode.", "cpuUserSeconds"),
  perVm.counter(
    "cpu_system_seconds_total",
    "CPU time the VM's process used in the host's kernel.",
    "cpuSystemSeconds",
  ),
]);

export const vmVcpu = ofParts(
  "vm_vcpu",
  [
    perVcpu.counter("seconds_total", "CPU time the vCPU used.", "seconds"),
    perVcpu.counter("wait_seconds_total", "Time the vCPU waited for input or output.", "waitSeconds"),
    perVcpu.counter(
      "delay_seconds_total",
      "Time the vCPU was ready to run and the host did not run it (steal).",
      "delaySeconds",
    ),
  ],
  (vm) => vm.vcpus,
  (vcpu: VcpuStats) => vcpu.index,
);

export const vmMemory = ofVm("vm_memory", [
  perVm.gauge(
    "memory_balloon_bytes",
    "Memory the balloon leaves to the guest; absent if it has grown.",
    "balloonBytes",
  ),
  perVm.gauge(
    "memory_maximum_bytes",
    "Most memory the balloon can leave to the guest.",
    "balloonMaximumBytes",
  ),
  perVm.gauge("memory_rss_bytes", "The host's memory that the VM's process holds.", "rssBytes"),
]);

/** A guest's stale report (it is paused, or its balloon driver is gone) counts as unread. */
function isReported({ guestReportedAtMs = 0 }: VmStats, { nowMs, sampleIntervalMs }: Sources): boolean {
  const intervalMs = Math.max(sampleIntervalMs, GUEST_INTERVAL_MS);
  return isFresh({ ageMs: nowMs() - guestReportedAtMs, intervalMs });
}

export const vmGuest = ofVm(
  "vm_guest",
  [
    perGuest.gauge("memory_available_bytes", "Memory the guest sees, as it reports.", "guestAvailableBytes"),
    perGuest.gauge("memory_usable_bytes", "Memory the guest could use without swapping.", "guestUsableBytes"),
    perGuest.gauge("memory_unused_bytes", "Memory the guest does not use for anything.", "guestUnusedBytes"),
    perGuest.gauge(
      "memory_disk_caches_bytes",
      "Memory the guest uses for disk caches.",
      "guestDiskCachesBytes",
    ),
    perGuest.counter("swap_in_bytes_total", "Bytes the guest read back from its swap.", "guestSwapInBytes"),
    perGuest.counter("swap_out_bytes_total", "Bytes the guest wrote to its swap.", "guestSwapOutBytes"),
    perGuest.counter(
      "major_faults_total",
      "Page faults in the guest that needed its disk.",
      "guestMajorFaults",
    ),
    perGuest.counter("minor_faults_total", "Page faults in the guest that did not.", "guestMinorFaults"),
  ],
  isReported,
);

export const vmNetwork = ofParts(
  "vm_network",
  [
    perNic.counter("receive_bytes_total", "Bytes the guest received.", "receiveBytes"),
    perNic.counter("receive_packets_total", "Packets the guest received.", "receivePackets"),
    perNic.counter("receive_errors_total", "Errors while the guest received.", "receiveErrors"),
    perNic.counter("receive_drops_total", "Packets to the guest that were dropped.", "receiveDrops"),
    perNic.counter("transmit_bytes_total", "Bytes the guest sent.", "transmitBytes"),
    perNic.counter("transmit_packets_total", "Packets the guest sent.", "transmitPackets"),
    perNic.counter("transmit_errors_total", "Errors while the guest sent.", "transmitErrors"),
    perNic.counter("transmit_drops_total", "Packets from the guest that were dropped.", "transmitDrops"),
  ],
  (vm) => vm.nics,
  (nic: NicStats) => nic.device,
);

export const vmDisk = ofParts(
  "vm_disk",
  [
    perDisk.counter("read_ops_total", "Reads the guest requested.", "readOps"),
    perDisk.counter("read_bytes_total", "Bytes the guest read.", "readBytes"),
    perDisk.counter("read_seconds_total", "Time that reads took.", "readSeconds"),
    perDisk.counter("write_ops_total", "Writes the guest requested.", "writeOps"),
    perDisk.counter("write_bytes_total", "Bytes the guest wrote.", "writeBytes"),
    perDisk.counter("write_seconds_total", "Time that writes took.", "writeSeconds"),
    perDisk.counter("flush_ops_total", "Flushes the guest requested.", "flushOps"),
    perDisk.counter("flush_seconds_total", "Time that flushes took.", "flushSeconds"),
    perDisk.gauge("capacity_bytes", "The disk's size as the guest sees it.", "capacityBytes"),
    perDisk.gauge("allocated_bytes", "Bytes of the disk's image that are written.", "allocatedBytes"),
    perDisk.gauge("physical_bytes", "Size of the disk's image on the host.", "physicalBytes"),
  ],
  (vm) => vm.disks,
  (disk: DiskStats) => disk.device,
);

export const vmMigration = ofVm("vm_migration", [
  perVm.gauge(
    "migration_processed_bytes",
    "Memory and disks that the VM's migration has sent.",
    "migrationProcessedBytes",
  ),
  perVm.gauge(
    "migration_remaining_bytes",
    "Memory and disks that the migration has still to send.",
    "migrationRemainingBytes",
  ),
]);

/** A collector of per-VM families, of the VMs that have them. */
function ofVm(
  name: string,
  fields: readonly Field<VmStats>[],
  has: (stats: VmStats, sources: Sources) => boolean = () => true,
): () => Collector {
  return ofParts(name, fields, (stats, sources) => (has(stats, sources) ? [stats] : []));
}

/** The same for parts of a VM; `label` distinguishes the parts. */
function ofParts<Part>(
  name: string,
  fields: readonly Field<Part>[],
  parts: (stats: VmStats, sources: Sources) => readonly Part[],
  label?: (part: Part) => string | number,
): () => Collector {
  const families: Readonly<Record<string, Family>> = Object.fromEntries(
    fields.map(([family]) => [family.name, family]),
  );
  return collector(name, families, function* (sources, emit) {
    const emitters = fields.map(([family, read]) => [emit[family.name], read] as const);
    for (const { id, stats } of sampled(sources)) {
      for (const part of parts(stats, sources)) {
        const labels = label === undefined ? [id] : [id, label(part)];
        for (const [add, read] of emitters) add?.(read(part), ...labels);
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
