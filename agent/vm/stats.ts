import type { StatFields } from "./stat-fields.ts";
import type { DiskStats, NicStats, VcpuStats, VmStats } from "./vm.ts";

export type SampledAt = Pick<VmStats, "sampledAtMs" | "sampledAtMonotonicMs">;

type Unit = (value: number) => number;
type NumbersOf<T> = { [K in keyof T]-?: T[K] extends number | undefined ? K : never }[keyof T];
/** A number of a reading, libvirt's name of it, and how libvirt's unit becomes ours. */
type Field<T> = readonly [NumbersOf<T>, string, Unit];

/** More disks, NICs or vCPUs than any guest has. */
const MOST_PARTS = 4096;

const count: Unit = (value) => value;
// Divided, not multiplied by 1e-9: the nearest double, so that 1.94 s does not read 1.9400000000000002.
const nanos: Unit = (value) => value / 1e9;
const kib: Unit = (value) => value * 1024;

const ofVm: readonly Field<VmStats>[] = [
  ["cpuSeconds", "cpu.time", nanos],
  ["cpuUserSeconds", "cpu.user", nanos],
  ["cpuSystemSeconds", "cpu.system", nanos],
  ["balloonBytes", "balloon.current", kib],
  ["balloonMaximumBytes", "balloon.maximum", kib],
  ["rssBytes", "balloon.rss", kib],
  ["guestAvailableBytes", "balloon.available", kib],
  ["guestUsableBytes", "balloon.usable", kib],
  ["guestUnusedBytes", "balloon.unused", kib],
  ["guestDiskCachesBytes", "balloon.disk_caches", kib],
  ["guestSwapInBytes", "balloon.swap_in", kib],
  ["guestSwapOutBytes", "balloon.swap_out", kib],
  ["guestMajorFaults", "balloon.major_fault", count],
  ["guestMinorFaults", "balloon.minor_fault", count],
  ["guestSaidAtMs", "balloon.last-update", (seconds) => seconds * 1000],
];

/** A vCPU that is not there has no state: their numbers need not follow one another. */
const vcpus = partsOf<VcpuStats>("vcpu", "maximum", "state", (_, index) => ({ index }), [
  ["seconds", "time", nanos],
  ["waitSeconds", "wait", nanos],
  ["delaySeconds", "delay", nanos],
]);

const device = (name: number | string | boolean): { device: string } => ({ device: String(name) });

const nics = partsOf<NicStats>("net", "count", "name", device, [
  ["receiveBytes", "rx.bytes", count],
  ["receivePackets", "rx.pkts", count],
  ["receiveErrors", "rx.errs", count],
  ["receiveDrops", "rx.drop", count],
  ["transmitBytes", "tx.bytes", count],
  ["transmitPackets", "tx.pkts", count],
  ["transmitErrors", "tx.errs", count],
  ["transmitDrops", "tx.drop", count],
]);

const disks = partsOf<DiskStats>("block", "count", "name", device, [
  ["readOps", "rd.reqs", count],
  ["readBytes", "rd.bytes", count],
  ["readSeconds", "rd.times", nanos],
  ["writeOps", "wr.reqs", count],
  ["writeBytes", "wr.bytes", count],
  ["writeSeconds", "wr.times", nanos],
  ["flushOps", "fl.reqs", count],
  ["flushSeconds", "fl.times", nanos],
  ["capacityBytes", "capacity", count],
  ["allocatedBytes", "allocation", count],
  ["physicalBytes", "physical", count],
]);

/**
 * Decodes what virConnectGetAllDomainStats tells of one domain. Names and units: libvirt-domain.h,
 * VIR_DOMAIN_STATS_* (times in nanoseconds, balloon values in KiB). What is not there stays away.
 */
export function decodeStats(fields: StatFields, at: SampledAt): VmStats {
  const stats = {
    ...at,
    unresponsive: false,
    vcpus: vcpus(fields),
    nics: nics(fields),
    disks: disks(fields),
  };
  return withNumbers<VmStats>(stats, ofVm, fields);
}

/** Into the object itself: copying it costs more than all the rest, and a round has thousands. */
function withNumbers<T extends object>(target: T, of: readonly Field<T>[], fields: StatFields): T {
  const numbers = target as { [K in NumbersOf<T>]?: number };
  for (const [member, name, unit] of of) {
    const value = fields.get(name);
    if (typeof value === "number") numbers[member] = unit(value);
  }
  return target;
}

/**
 * Reads what a domain has several of: `prefix.N.*` for N up to `prefix.bound`. One is there that has a `tell`, of which
 * `named` makes what it is called by.
 */
function partsOf<T extends object>(
  prefix: string,
  bound: string,
  tell: string,
  named: (told: number | string | boolean, index: number) => T,
  of: readonly Field<T>[],
): (fields: StatFields) => T[] {
  // The names of each are made once: there are tens of thousands to look up in a round.
  const known: { readonly tell: string; readonly of: readonly Field<T>[] }[] = [];
  const at = (index: number): (typeof known)[number] =>
    (known[index] ??= {
      tell: `${prefix}.${index}.${tell}`,
      of: of.map(([member, name, unit]) => [member, `${prefix}.${index}.${name}`, unit]),
    });
  const boundName = `${prefix}.${bound}`;
  return (fields) => {
    const end = Math.min(Number(fields.get(boundName) ?? 0), MOST_PARTS);
    const parts: T[] = [];
    for (let index = 0; index < end; index += 1) {
      const names = at(index);
      const told = fields.get(names.tell);
      if (told !== undefined && told !== "") parts.push(withNumbers(named(told, index), names.of, fields));
    }
    return parts;
  };
}
