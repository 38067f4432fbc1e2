import type { Domain, ParameterLists } from "../../libvirt/index.ts";
import { diskReadings, nicReadings, vcpuReadings, vmReadings, type ReadingTable } from "../model/readings.ts";

/** The index of each reading of a table among a domain's values, in the table's order; undefined: not reported. */
export type Places = readonly (number | undefined)[];

/** A vCPU or device. It is present if its marker is: a vCPU's state, a device's name. */
interface PartLayout {
  readonly index: number;
  readonly marker: number;
  readonly at: Places;
}

/** The names of a domain's parameters in order, and the index of each. */
class Layout {
  readonly names: readonly string[];
  readonly places: ReadonlyMap<string, number>;
  readonly vm: Places;
  /** An offline vCPU has no state: vCPU numbers may have gaps. */
  readonly vcpus: readonly PartLayout[];
  readonly nics: readonly PartLayout[];
  readonly disks: readonly PartLayout[];

  constructor(names: readonly string[]) {
    this.names = names;
    this.places = new Map(names.map((name, place) => [name, place]));
    this.vm = this.#placesOf(vmReadings);
    this.vcpus = this.#partsOf(/^vcpu\.(\d+)\.state$/, "vcpu", vcpuReadings);
    this.nics = this.#partsOf(/^net\.(\d+)\.name$/, "net", nicReadings);
    this.disks = this.#partsOf(/^block\.(\d+)\.name$/, "block", diskReadings);
  }

  #placesOf(table: ReadingTable, prefix = ""): Places {
    return Object.values(table).map(({ name }) => this.places.get(`${prefix}${name}`));
  }

  #partsOf(telling: RegExp, prefix: string, table: ReadingTable): PartLayout[] {
    return this.names
      .flatMap((name, marker) => {
        const number = telling.exec(name)?.[1];
        return number === undefined
          ? []
          : [{ index: Number(number), marker, at: this.#placesOf(table, `${prefix}.${number}.`) }];
      })
      .sort((a, b) => a.index - b.index);
  }
}

/** The meaning of one domain's values, kept from round to round. */
export class Shape {
  readonly layout: Layout;
  readonly vm: Places;
  readonly vcpus: readonly { readonly index: number; readonly at: Places }[];
  readonly nics: readonly { readonly device: string; readonly at: Places }[];
  readonly disks: readonly { readonly device: string; readonly at: Places }[];

  constructor(layout: Layout, values: ParameterLists["values"]) {
    const named = ({ marker, at }: PartLayout): { device: string; at: Places }[] => {
      const device = String(values[marker] ?? "");
      return device === "" ? [] : [{ device, at }];
    };
    this.layout = layout;
    this.vm = layout.vm;
    this.vcpus = layout.vcpus;
    this.nics = layout.nics.flatMap((nic) => named(nic));
    this.disks = layout.disks.flatMap((disk) => named(disk));
  }

  /** Whether these lists have the same parameter names and device names. */
  fits({ fields, values }: ParameterLists): boolean {
    const { names, nics, disks } = this.layout;
    if (names.length !== fields.length) return false;
    for (let place = 0; place < names.length; place += 1) if (fields[place] !== names[place]) return false;
    return areNamed(this.nics, nics, values) && areNamed(this.disks, disks, values);
  }
}

function areNamed(
  named: readonly { readonly device: string }[],
  parts: readonly PartLayout[],
  values: ParameterLists["values"],
): boolean {
  if (named.length !== parts.length) return false;
  for (let index = 0; index < parts.length; index += 1)
    if (values[parts[index]?.marker ?? -1] !== named[index]?.device) return false;
  return true;
}

/**
 * Finds readings by position, without an index for each domain: a domain has the same names in the same order from one
 * round to the next, and similar domains share them.
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

  /** Forgets the shapes of domains that are not listed any more. */
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
