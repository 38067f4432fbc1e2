import type { Domain, ParameterLists } from "../libvirt/index.ts";

/** What is read of a domain, by libvirt's name. Names and units: libvirt-domain.h, VIR_DOMAIN_STATS_*. */
const vmNames = {
  cpuSeconds: "cpu.time",
  cpuUserSeconds: "cpu.user",
  cpuSystemSeconds: "cpu.system",
  balloonBytes: "balloon.current",
  balloonMaximumBytes: "balloon.maximum",
  rssBytes: "balloon.rss",
  guestSaidAtMs: "balloon.last-update",
  guestAvailableBytes: "balloon.available",
  guestUsableBytes: "balloon.usable",
  guestUnusedBytes: "balloon.unused",
  guestDiskCachesBytes: "balloon.disk_caches",
  guestSwapInBytes: "balloon.swap_in",
  guestSwapOutBytes: "balloon.swap_out",
  guestMajorFaults: "balloon.major_fault",
  guestMinorFaults: "balloon.minor_fault",
} as const;

/** Of what a domain has several of, after `prefix.N.`. */
const vcpuNames = { seconds: "time", waitSeconds: "wait", delaySeconds: "delay" } as const;
const nicNames = {
  receiveBytes: "rx.bytes",
  receivePackets: "rx.pkts",
  receiveErrors: "rx.errs",
  receiveDrops: "rx.drop",
  transmitBytes: "tx.bytes",
  transmitPackets: "tx.pkts",
  transmitErrors: "tx.errs",
  transmitDrops: "tx.drop",
} as const;
const diskNames = {
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
} as const;

/** Where each reading lies among a domain's values; undefined: it is not told. */
type Places<Names> = { readonly [Member in keyof Names]: number | undefined };
export type VmPlaces = Places<typeof vmNames>;
export type VcpuPlaces = Places<typeof vcpuNames>;
export type NicPlaces = Places<typeof nicNames>;
export type DiskPlaces = Places<typeof diskNames>;

/** One of several. It is there where what tells it is: a vCPU's state, a device's name. */
interface PartLayout<P> {
  readonly index: number;
  readonly told: number;
  readonly at: P;
}

/** The names of a domain's parameters in their order, and where each is. */
class Layout {
  readonly names: readonly string[];
  readonly places: ReadonlyMap<string, number>;
  readonly vm: VmPlaces;
  /** A vCPU that is not there has no state: their numbers need not follow one another. */
  readonly vcpus: readonly PartLayout<VcpuPlaces>[];
  readonly nics: readonly PartLayout<NicPlaces>[];
  readonly disks: readonly PartLayout<DiskPlaces>[];

  constructor(names: readonly string[]) {
    this.names = names;
    this.places = new Map(names.map((name, place) => [name, place]));
    this.vm = this.#placesOf(vmNames);
    this.vcpus = this.#partsOf(/^vcpu\.(\d+)\.state$/, "vcpu", vcpuNames);
    this.nics = this.#partsOf(/^net\.(\d+)\.name$/, "net", nicNames);
    this.disks = this.#partsOf(/^block\.(\d+)\.name$/, "block", diskNames);
  }

  #placesOf<Names extends Readonly<Record<string, string>>>(names: Names, prefix = ""): Places<Names> {
    const places = Object.entries(names).map(([member, name]) => [
      member,
      this.places.get(`${prefix}${name}`),
    ]);
    return Object.fromEntries(places) as Places<Names>;
  }

  #partsOf<Names extends Readonly<Record<string, string>>>(
    telling: RegExp,
    prefix: string,
    names: Names,
  ): PartLayout<Places<Names>>[] {
    return this.names
      .flatMap((name, told) => {
        const number = telling.exec(name)?.[1];
        return number === undefined
          ? []
          : [{ index: Number(number), told, at: this.#placesOf(names, `${prefix}.${number}.`) }];
      })
      .sort((a, b) => a.index - b.index);
  }
}

/** What the values of one domain mean, from one round to the next. */
export class Shape {
  readonly layout: Layout;
  readonly vm: VmPlaces;
  readonly vcpus: readonly { readonly index: number; readonly at: VcpuPlaces }[];
  readonly nics: readonly { readonly device: string; readonly at: NicPlaces }[];
  readonly disks: readonly { readonly device: string; readonly at: DiskPlaces }[];

  constructor(layout: Layout, values: ParameterLists["values"]) {
    const named = <P>({ told, at }: PartLayout<P>): { device: string; at: P }[] => {
      const device = String(values[told] ?? "");
      return device === "" ? [] : [{ device, at }];
    };
    this.layout = layout;
    this.vm = layout.vm;
    this.vcpus = layout.vcpus;
    this.nics = layout.nics.flatMap((nic) => named(nic));
    this.disks = layout.disks.flatMap((disk) => named(disk));
  }

  /** These are parameters of the same names, and devices of the same names. */
  fits({ fields, values }: ParameterLists): boolean {
    const { names, nics, disks } = this.layout;
    if (names.length !== fields.length) return false;
    for (let place = 0; place < names.length; place += 1) if (fields[place] !== names[place]) return false;
    return areNamed(this.nics, nics, values) && areNamed(this.disks, disks, values);
  }
}

function areNamed(
  named: readonly { readonly device: string }[],
  parts: readonly PartLayout<unknown>[],
  values: ParameterLists["values"],
): boolean {
  if (named.length !== parts.length) return false;
  for (let index = 0; index < parts.length; index += 1)
    if (values[parts[index]?.told ?? -1] !== named[index]?.device) return false;
  return true;
}

/**
 * Finds readings by place, without an index of each domain's own: a domain has the same names in the same order from one
 * round to the next, and so have domains that are alike.
 */
export class Shapes {
  readonly #byDomain = new Map<string, Shape>();
  readonly #layouts = new Map<string, Layout>();

  of({ uuid }: Domain, parameters: ParameterLists): Shape {
    const known = this.#byDomain.get(uuid);
    if (known?.fits(parameters) === true) return known;
    const shape = new Shape(this.#layoutOf(parameters.fields), parameters.values);
    this.#byDomain.set(uuid, shape);
    return shape;
  }

  /** Forgets the shapes of domains that are not among so many any more. */
  keep(listed: ReadonlySet<string>): void {
    if (this.#byDomain.size <= listed.size) return;
    for (const uuid of this.#byDomain.keys()) if (!listed.has(uuid)) this.#byDomain.delete(uuid);
    const used = new Set([...this.#byDomain.values()].map(({ layout }) => layout));
    for (const [key, layout] of this.#layouts) if (!used.has(layout)) this.#layouts.delete(key);
  }

  #layoutOf(fields: readonly string[]): Layout {
    const key = fields.join("\n");
    let layout = this.#layouts.get(key);
    if (layout === undefined) {
      layout = new Layout([...fields]);
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}
