/** A number that libvirt reports: its name, and its conversion. The value is the number times `times`, divided by `per`. */
interface Reading {
  readonly name: string;
  readonly times: number;
  readonly per: number;
}

const count = (name: string): Reading => ({ name, times: 1, per: 1 });
const kibibytes = (name: string): Reading => ({ name, times: 1024, per: 1 });
const wholeSeconds = (name: string): Reading => ({ name, times: 1000, per: 1 });
/** Divided, not multiplied by 1e-9: the nearest double, so that 1.94 s does not become 1.9400000000000002. */
const nanoseconds = (name: string): Reading => ({ name, times: 1, per: 1e9 });

/** Readings of a domain. Names and units: libvirt-domain.h, VIR_DOMAIN_STATS_*. */
export const vmReadings = {
  cpuSeconds: nanoseconds("cpu.time"),
  cpuUserSeconds: nanoseconds("cpu.user"),
  cpuSystemSeconds: nanoseconds("cpu.system"),
  countedBalloonBytes: kibibytes("balloon.current"),
  balloonMaximumBytes: kibibytes("balloon.maximum"),
  rssBytes: kibibytes("balloon.rss"),
  /** When the guest's balloon driver last reported the following values; libvirt itself knows the others. */
  guestReportedAtMs: wholeSeconds("balloon.last-update"),
  guestAvailableBytes: kibibytes("balloon.available"),
  guestUsableBytes: kibibytes("balloon.usable"),
  guestUnusedBytes: kibibytes("balloon.unused"),
  guestDiskCachesBytes: kibibytes("balloon.disk_caches"),
  guestSwapInBytes: kibibytes("balloon.swap_in"),
  guestSwapOutBytes: kibibytes("balloon.swap_out"),
  guestMajorFaults: count("balloon.major_fault"),
  guestMinorFaults: count("balloon.minor_fault"),
} as const;

/** Readings of a vCPU, after `prefix.N.`. */
export const vcpuReadings = {
  seconds: nanoseconds("time"),
  waitSeconds: nanoseconds("wait"),
  /** Runnable but not run: steal. */
  delaySeconds: nanoseconds("delay"),
} as const;
export const nicReadings = {
  receiveBytes: count("rx.bytes"),
  receivePackets: count("rx.pkts"),
  receiveErrors: count("rx.errs"),
  receiveDrops: count("rx.drop"),
  transmitBytes: count("tx.bytes"),
  transmitPackets: count("tx.pkts"),
  transmitErrors: count("tx.errs"),
  transmitDrops: count("tx.drop"),
} as const;
export const diskReadings = {
  readOps: count("rd.reqs"),
  readBytes: count("rd.bytes"),
  readSeconds: nanoseconds("rd.times"),
  writeOps: count("wr.reqs"),
  writeBytes: count("wr.bytes"),
  writeSeconds: nanoseconds("wr.times"),
  flushOps: count("fl.reqs"),
  flushSeconds: nanoseconds("fl.times"),
  capacityBytes: count("capacity"),
  allocatedBytes: count("allocation"),
  physicalBytes: count("physical"),
} as const;

export type ReadingTable = Readonly<Record<string, Reading>>;

/** The values of one sampling. Those that could not be read are undefined, never zero. */
export type Readings<Table> = { readonly [Member in keyof Table]?: number | undefined };
