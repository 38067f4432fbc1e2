import type { StatFields } from "./stat-fields.ts";
import type { DiskStats, NicStats, VcpuStats, VmStats } from "./vm.ts";

export type SampledAt = Pick<VmStats, "sampledAtMs" | "sampledAtMonotonicMs">;

/** More disks, NICs or vCPUs than any guest has. */
const MOST_PARTS = 4096;

const count = (fields: StatFields, name: string): number | undefined => {
  const value = fields.get(name);
  return typeof value === "number" ? value : undefined;
};
const times = (fields: StatFields, name: string, factor: number): number | undefined => {
  const value = count(fields, name);
  return value === undefined ? undefined : value * factor;
};
const kib = (fields: StatFields, name: string): number | undefined => times(fields, name, 1024);
const nanos = (fields: StatFields, name: string): number | undefined => {
  const value = count(fields, name);
  // Divided, not multiplied by 1e-9: the nearest double, so that 1.94 s does not read 1.9400000000000002.
  return value === undefined ? undefined : value / 1e9;
};

/**
 * Decodes what virConnectGetAllDomainStats tells of one domain. Names and units: libvirt-domain.h,
 * VIR_DOMAIN_STATS_* (times in nanoseconds, balloon values in KiB). What is not there is undefined. Every member is
 * written out, here and below: an object that is made whole costs a third of one that grows, and a round makes thousands.
 */
export function decodeStats(fields: StatFields, at: SampledAt): VmStats {
  return {
    sampledAtMs: at.sampledAtMs,
    sampledAtMonotonicMs: at.sampledAtMonotonicMs,
    unresponsive: false,
    cpuSeconds: nanos(fields, "cpu.time"),
    cpuUserSeconds: nanos(fields, "cpu.user"),
    cpuSystemSeconds: nanos(fields, "cpu.system"),
    vcpus: vcpus(fields),
    balloonBytes: kib(fields, "balloon.current"),
    balloonMaximumBytes: kib(fields, "balloon.maximum"),
    rssBytes: kib(fields, "balloon.rss"),
    guestSaidAtMs: times(fields, "balloon.last-update", 1000),
    guestAvailableBytes: kib(fields, "balloon.available"),
    guestUsableBytes: kib(fields, "balloon.usable"),
    guestUnusedBytes: kib(fields, "balloon.unused"),
    guestDiskCachesBytes: kib(fields, "balloon.disk_caches"),
    guestSwapInBytes: kib(fields, "balloon.swap_in"),
    guestSwapOutBytes: kib(fields, "balloon.swap_out"),
    guestMajorFaults: count(fields, "balloon.major_fault"),
    guestMinorFaults: count(fields, "balloon.minor_fault"),
    nics: nics(fields),
    disks: disks(fields),
  };
}

/** A vCPU that is not there has no state: their numbers need not follow one another. */
const vcpus = partsOf(
  { prefix: "vcpu", bound: "maximum", tell: "state" },
  { seconds: "time", waitSeconds: "wait", delaySeconds: "delay" },
  (fields, at, _, index): VcpuStats => ({
    index,
    seconds: nanos(fields, at.seconds),
    waitSeconds: nanos(fields, at.waitSeconds),
    delaySeconds: nanos(fields, at.delaySeconds),
  }),
);

const nics = partsOf(
  { prefix: "net", bound: "count", tell: "name" },
  {
    receiveBytes: "rx.bytes",
    receivePackets: "rx.pkts",
    receiveErrors: "rx.errs",
    receiveDrops: "rx.drop",
    transmitBytes: "tx.bytes",
    transmitPackets: "tx.pkts",
    transmitErrors: "tx.errs",
    transmitDrops: "tx.drop",
  },
  (fields, at, name): NicStats => ({
    device: String(name),
    receiveBytes: count(fields, at.receiveBytes),
    receivePackets: count(fields, at.receivePackets),
    receiveErrors: count(fields, at.receiveErrors),
    receiveDrops: count(fields, at.receiveDrops),
    transmitBytes: count(fields, at.transmitBytes),
    transmitPackets: count(fields, at.transmitPackets),
    transmitErrors: count(fields, at.transmitErrors),
    transmitDrops: count(fields, at.transmitDrops),
  }),
);

const disks = partsOf(
  { prefix: "block", bound: "count", tell: "name" },
  {
    readOps: "rd.reqs",
    readBytes: "rd.bytes",
    readSeconds: "rd.times",
    writeOps: "wr.reqs",
    writeBytes: "wr.bytes",
    writeSeconds: "wr.times",
    flushOps: "fl.reqs",
    flushSeconds: "fl.times",
    capacityBytes: "capacity",
    allocatedBytes: "allocation",
    physicalBytes: "physical",
  },
  (fields, at, name): DiskStats => ({
    device: String(name),
    readOps: count(fields, at.readOps),
    readBytes: count(fields, at.readBytes),
    readSeconds: nanos(fields, at.readSeconds),
    writeOps: count(fields, at.writeOps),
    writeBytes: count(fields, at.writeBytes),
    writeSeconds: nanos(fields, at.writeSeconds),
    flushOps: count(fields, at.flushOps),
    flushSeconds: nanos(fields, at.flushSeconds),
    capacityBytes: count(fields, at.capacityBytes),
    allocatedBytes: count(fields, at.allocatedBytes),
    physicalBytes: count(fields, at.physicalBytes),
  }),
);

/**
 * Reads what a domain has several of: `prefix.N.*` for N up to `prefix.bound`. One is there that has a `tell`. `make`
 * is given libvirt's whole name of each of `members`.
 */
function partsOf<Names extends Readonly<Record<string, string>>, T>(
  { prefix, bound, tell }: { readonly prefix: string; readonly bound: string; readonly tell: string },
  members: Names,
  make: (fields: StatFields, at: Names, told: number | string | boolean, index: number) => T,
): (fields: StatFields) => T[] {
  // The names of each are made once: there are tens of thousands to look up in a round.
  const known: { readonly tell: string; readonly at: Names }[] = [];
  const namesOf = (index: number): (typeof known)[number] => {
    const whole = (name: string): string => `${prefix}.${index}.${name}`;
    const at = Object.fromEntries(Object.entries(members).map(([member, name]) => [member, whole(name)]));
    return (known[index] ??= { tell: whole(tell), at: at as Names });
  };
  const boundName = `${prefix}.${bound}`;
  return (fields) => {
    const end = Math.min(count(fields, boundName) ?? 0, MOST_PARTS);
    const parts: T[] = [];
    for (let index = 0; index < end; index += 1) {
      const { at, tell } = known[index] ?? namesOf(index);
      const told = fields.get(tell);
      if (told !== undefined && told !== "") parts.push(make(fields, at, told, index));
    }
    return parts;
  };
}
