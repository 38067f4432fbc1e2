import { raidStates } from "../../hardware/storage/raid.ts";
import { valueOf } from "../../hardware/reading.ts";
import { collector, freshOfSeveral, ofReader } from "../collector.ts";
import { counter, gauge } from "../family.ts";

const perDisk = ["device"] as const;

export const hostDisks = collector(
  "host_disks",
  {
    info: gauge("socle_host_disk_info", "A disk that may report its health; always 1.", [
      "device",
      "model",
      "serial",
      "firmware",
    ]),
    mapped: gauge(
      "socle_host_disk_mapped_info",
      "Name of a device that maps onto others, such as a logical volume; always 1.",
      ["device", "name"],
    ),
  },
  ({ readings }, emit) => {
    const { take, end } = freshOfSeveral(readings);
    for (const { name, model, serial, firmware } of take("disks")?.value ?? [])
      emit.info(1, name, model, serial, firmware);
    for (const { device, name } of take("mappedDevices")?.value ?? []) emit.mapped(1, device, name);
    return end();
  },
);

export const hostDiskIo = ofReader(
  "host_disk_io",
  "diskIo",
  {
    readOps: counter("socle_host_disk_read_ops_total", "Reads that ended.", perDisk),
    readMerged: counter("socle_host_disk_read_merged_total", "Reads joined to a neighbour.", perDisk),
    readBytes: counter("socle_host_disk_read_bytes_total", "Bytes read.", perDisk),
    readSeconds: counter("socle_host_disk_read_seconds_total", "Time of all reads together.", perDisk),
    writeOps: counter("socle_host_disk_write_ops_total", "Writes that ended.", perDisk),
    writeMerged: counter("socle_host_disk_write_merged_total", "Writes joined to a neighbour.", perDisk),
    writeBytes: counter("socle_host_disk_write_bytes_total", "Bytes written.", perDisk),
    writeSeconds: counter("socle_host_disk_write_seconds_total", "Time of all writes together.", perDisk),
    discardOps: counter("socle_host_disk_discard_ops_total", "Discards that ended.", perDisk),
    discardBytes: counter("socle_host_disk_discard_bytes_total", "Bytes discarded.", perDisk),
    discardSeconds: counter("socle_host_disk_discard_seconds_total", "Time of all discards.", perDisk),
    flushOps: counter("socle_host_disk_flush_ops_total", "Flushes that ended.", perDisk),
    flushSeconds: counter("socle_host_disk_flush_seconds_total", "Time of all flushes together.", perDisk),
    inProgress: gauge("socle_host_disk_io_in_progress", "Requests that the disk processes.", perDisk),
    busy: counter(
      "socle_host_disk_io_seconds_total",
      "Time with a request in progress; its rate is the disk's utilisation.",
      perDisk,
    ),
    weighted: counter(
      "socle_host_disk_io_weighted_seconds_total",
      "Time of all requests together; its rate is the length of the disk's queue.",
      perDisk,
    ),
  },
  (disks, emit) => {
    for (const { device, read, write, discard, flush, ...io } of disks) {
      emit.readOps(read.ops, device);
      emit.readMerged(read.merged, device);
      emit.readBytes(read.bytes, device);
      emit.readSeconds(read.seconds, device);
      emit.writeOps(write.ops, device);
      emit.writeMerged(write.merged, device);
      emit.writeBytes(write.bytes, device);
      emit.writeSeconds(write.seconds, device);
      emit.discardOps(discard?.ops, device);
      emit.discardBytes(discard?.bytes, device);
      emit.discardSeconds(discard?.seconds, device);
      emit.flushOps(flush?.ops, device);
      emit.flushSeconds(flush?.seconds, device);
      emit.inProgress(io.inProgress, device);
      emit.busy(io.busySeconds, device);
      emit.weighted(io.weightedSeconds, device);
    }
  },
);

export const hostDiskHealth = ofReader(
  "host_disk_health",
  "diskHealth",
  {
    wear: gauge(
      "socle_host_disk_wear_ratio",
      "Used share of the disk's rated writes; may exceed 1.",
      perDisk,
    ),
    spare: gauge("socle_host_disk_spare_ratio", "Spare blocks that are left.", perDisk),
    mediaErrors: counter("socle_host_disk_media_errors_total", "Data errors in the disk's life.", perDisk),
    warning: gauge("socle_host_disk_critical_warning", "1 while the disk warns of this.", [
      "device",
      "warning",
    ]),
    powerOn: counter(
      "socle_host_disk_power_on_seconds_total",
      "Time it was powered on in its life.",
      perDisk,
    ),
    powerCycles: counter("socle_host_disk_power_cycles_total", "Times it was switched on.", perDisk),
    unsafeShutdowns: counter(
      "socle_host_disk_unsafe_shutdowns_total",
      "Times it lost power without a shutdown.",
      perDisk,
    ),
    lifetimeRead: counter(
      "socle_host_disk_lifetime_read_bytes_total",
      "Bytes read in its life, by its own count.",
      perDisk,
    ),
    lifetimeWritten: counter(
      "socle_host_disk_lifetime_written_bytes_total",
      "Bytes written in its life, by its own count.",
      perDisk,
    ),
    sectors: gauge(
      "socle_host_disk_bad_sectors",
      "Sectors that the disk replaced (reallocated), could not read (pending), or found bad by its own test (uncorrectable).",
      ["device", "state"],
    ),
    temperature: gauge("socle_host_disk_temperature_celsius", "As the disk itself measures.", perDisk),
  },
  (disks, emit) => {
    for (const { disk, health } of disks) {
      const reading = valueOf(health);
      emit.wear(reading?.wearRatio, disk.name);
      emit.spare(reading?.spareRatio, disk.name);
      emit.mediaErrors(reading?.mediaErrors, disk.name);
      emit.temperature(reading?.temperatureCelsius, disk.name);
      emit.powerOn(reading?.powerOnSeconds, disk.name);
      emit.powerCycles(reading?.powerCycles, disk.name);
      emit.unsafeShutdowns(reading?.unsafeShutdowns, disk.name);
      emit.lifetimeRead(reading?.readBytes, disk.name);
      emit.lifetimeWritten(reading?.writtenBytes, disk.name);
      emit.sectors(reading?.reallocatedSectors, disk.name, "reallocated");
      emit.sectors(reading?.pendingSectors, disk.name, "pending");
      emit.sectors(reading?.uncorrectableSectors, disk.name, "uncorrectable");
      for (const [warning, is] of reading?.warnings ?? []) emit.warning(Number(is), disk.name, warning);
    }
  },
);

export const hostRaid = ofReader(
  "host_raid",
  "raid",
  {
    state: gauge("socle_host_raid_state", "1 for the state the array is in, 0 for the others.", [
      "array",
      "state",
    ]),
    disks: gauge("socle_host_raid_disks", "Disks that the array needs.", ["array"]),
    degraded: gauge("socle_host_raid_degraded_disks", "Missing or unsynchronised disks of the array.", [
      "array",
    ]),
  },
  (arrays, emit) => {
    for (const { name, state, disks, degradedDisks } of arrays) {
      for (const possible of raidStates) emit.state(Number(possible === state), name, possible);
      emit.disks(disks, name);
      emit.degraded(degradedDisks, name);
    }
  },
);

export const hostMounts = ofReader(
  "host_mounts",
  "mounts",
  {
    readOnly: gauge(
      "socle_host_filesystem_readonly",
      "1 while a filesystem that should be writable is read-only.",
      ["path"],
    ),
  },
  (mounts, emit) => {
    for (const { mountPoint, readOnly } of mounts) emit.readOnly(Number(readOnly), mountPoint);
  },
);
