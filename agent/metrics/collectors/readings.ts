import { valueOf } from "../../hardware/reading.ts";
import { collector, ofReader } from "../collector.ts";
import { counter, gauge } from "../family.ts";

/** The kernel's field names, with their label values. */
const memoryKinds: readonly (readonly [string, string])[] = [
  ["MemTotal", "total"],
  ["MemFree", "free"],
  ["MemAvailable", "available"],
  ["Buffers", "buffers"],
  ["Cached", "cached"],
  ["AnonPages", "anonymous"],
  ["Shmem", "shared"],
  ["Slab", "slab"],
  ["SReclaimable", "slab_reclaimable"],
  ["PageTables", "page_tables"],
  ["KernelStack", "kernel_stack"],
  ["Dirty", "dirty"],
  ["Writeback", "writeback"],
  ["Mlocked", "locked"],
  ["Hugetlb", "hugetlb"],
  ["AnonHugePages", "transparent_hugepages"],
  ["CommitLimit", "commit_limit"],
  ["Committed_AS", "committed"],
  ["SwapTotal", "swap_total"],
  ["SwapFree", "swap_free"],
];

export const hostMemory = ofReader(
  "host_memory",
  "memory",
  { bytes: gauge("socle_host_memory_bytes", "The host's memory, by kind.", ["kind"]) },
  (memory, emit) => {
    for (const [name, kind] of memoryKinds) emit.bytes(memory.bytesByName.get(name), kind);
  },
);

export const hostNuma = ofReader(
  "host_numa",
  "cells",
  {
    bytes: gauge("socle_host_numa_memory_bytes", "Memory of a NUMA cell, by kind.", ["cell", "kind"]),
    hugepages: gauge("socle_host_hugepages", "Huge pages of a NUMA cell, in pages.", [
      "cell",
      "size",
      "state",
    ]),
  },
  (cells, emit) => {
    for (const { id, memory, hugepages } of cells) {
      const bytes = valueOf(memory)?.bytesByName;
      for (const [name, kind] of memoryKinds) emit.bytes(bytes?.get(name), id, kind);
      for (const { sizeBytes, total, free } of valueOf(hugepages) ?? []) {
        emit.hugepages(total, id, pageSize(sizeBytes), "total");
        emit.hugepages(free, id, pageSize(sizeBytes), "free");
      }
    }
  },
);

/** 2097152 as 2M, the way capacity names page sizes. */
function pageSize(bytes: number): string {
  if (bytes % 2 ** 30 === 0) return `${bytes / 2 ** 30}G`;
  return bytes % 2 ** 20 === 0 ? `${bytes / 2 ** 20}M` : `${bytes / 2 ** 10}K`;
}

export const hostCpu = ofReader(
  "host_cpu",
  "cpu",
  {
    seconds: counter(
      "socle_host_cpu_seconds_total",
      "Time the host's CPUs spent, by mode; guest is in user too, guest_nice in nice.",
      ["mode"],
    ),
  },
  (cpu, emit) => {
    for (const [mode, seconds] of Object.entries(cpu.secondsByMode)) emit.seconds(seconds, mode);
  },
);

export const hostPressure = ofReader(
  "host_pressure",
  "pressure",
  {
    cpuWaiting: counter("socle_host_pressure_cpu_waiting_seconds_total", "Time some task waited for a CPU."),
    cpuStalled: counter("socle_host_pressure_cpu_stalled_seconds_total", "Time all tasks waited for a CPU."),
    memoryWaiting: counter(
      "socle_host_pressure_memory_waiting_seconds_total",
      "Time some task waited for memory.",
    ),
    memoryStalled: counter(
      "socle_host_pressure_memory_stalled_seconds_total",
      "Time all tasks waited for memory.",
    ),
    ioWaiting: counter("socle_host_pressure_io_waiting_seconds_total", "Time some task waited for a disk."),
    ioStalled: counter("socle_host_pressure_io_stalled_seconds_total", "Time all tasks waited for a disk."),
  },
  (pressure, emit) => {
    const [cpu, memory, io] = (["cpu", "memory", "io"] as const).map((of) => pressure.get(of));
    emit.cpuWaiting(cpu?.waiting.totalSeconds);
    emit.cpuStalled(cpu?.stalled?.totalSeconds);
    emit.memoryWaiting(memory?.waiting.totalSeconds);
    emit.memoryStalled(memory?.stalled?.totalSeconds);
    emit.ioWaiting(io?.waiting.totalSeconds);
    emit.ioStalled(io?.stalled?.totalSeconds);
  },
);

/** Reasons are shown to people, and labels are stored for long. */
const MOST_REASON = 200;
const readerStates = ["read", "unsupported", "failed", "pending"] as const;

export const hostReaders = collector(
  "host_readers",
  {
    state: gauge("socle_reader_state", "1 for the outcome of the reader's last run, 0 for the others.", [
      "reader",
      "state",
    ]),
    reason: gauge("socle_reader_reason", "Why the reader's last run read nothing; always 1.", [
      "reader",
      "reason",
    ]),
    looked: gauge("socle_reader_timestamp_seconds", "When the reader last ran.", ["reader"]),
    duration: gauge("socle_reader_duration_seconds", "Duration of the reader's last run.", ["reader"]),
  },
  ({ readings }, emit) => {
    for (const { name, state, reason, lookedAtMs, tookMs } of readings.states()) {
      for (const candidate of readerStates) emit.state(candidate === state ? 1 : 0, name, candidate);
      if (reason !== "") emit.reason(1, name, reason.slice(0, MOST_REASON));
      emit.looked(lookedAtMs === undefined ? undefined : lookedAtMs / 1000, name);
      emit.duration(tookMs === undefined ? undefined : tookMs / 1000, name);
    }
  },
);

const perNic = ["device"] as const;

export const hostNic = ofReader(
  "host_nic",
  "interfaces",
  {
    up: gauge("socle_host_nic_up", "1 while the interface is up and has a link.", perNic),
    speed: gauge("socle_host_nic_speed_bytes_per_second", "Negotiated speed of the link.", perNic),
    receiveBytes: counter("socle_host_nic_receive_bytes_total", "Bytes received.", perNic),
    receivePackets: counter("socle_host_nic_receive_packets_total", "Packets received.", perNic),
    receiveErrors: counter("socle_host_nic_receive_errors_total", "Packets received with an error.", perNic),
    receiveDrops: counter("socle_host_nic_receive_drops_total", "Packets received and dropped.", perNic),
    transmitBytes: counter("socle_host_nic_transmit_bytes_total", "Bytes sent.", perNic),
    transmitPackets: counter("socle_host_nic_transmit_packets_total", "Packets sent.", perNic),
    transmitErrors: counter("socle_host_nic_transmit_errors_total", "Errors while sending.", perNic),
    transmitDrops: counter("socle_host_nic_transmit_drops_total", "Packets dropped before sending.", perNic),
  },
  (interfaces, emit) => {
    for (const { name, up, speedBytesPerSecond, receive, transmit } of interfaces) {
      emit.up(up === undefined ? undefined : Number(up), name);
      emit.speed(speedBytesPerSecond, name);
      emit.receiveBytes(receive.bytes, name);
      emit.receivePackets(receive.packets, name);
      emit.receiveErrors(receive.errors, name);
      emit.receiveDrops(receive.drops, name);
      emit.transmitBytes(transmit.bytes, name);
      emit.transmitPackets(transmit.packets, name);
      emit.transmitErrors(transmit.errors, name);
      emit.transmitDrops(transmit.drops, name);
    }
  },
);

export const hostFilesystem = ofReader(
  "host_filesystem",
  "filesystems",
  {
    size: gauge("socle_host_filesystem_size_bytes", "The size of the filesystem that the path is on.", [
      "path",
    ]),
    free: gauge("socle_host_filesystem_free_bytes", "Free bytes, including root's reserve.", ["path"]),
    available: gauge("socle_host_filesystem_available_bytes", "Free bytes for users other than root.", [
      "path",
    ]),
  },
  (filesystems, emit) => {
    for (const [path, space] of filesystems) {
      const known = valueOf(space);
      if (known === undefined) continue;
      emit.size(known.sizeBytes, path);
      emit.free(known.sizeBytes - known.usedBytes, path);
      emit.available(known.availableBytes, path);
    }
  },
);
