import type { Domain, ParameterLists } from "../libvirt/index.ts";

type FieldValue = number | string | boolean;

/** What libvirt told of one domain, by name. */
export interface StatFields {
  readonly size: number;
  get(name: string): FieldValue | undefined;
  has(name: string): boolean;
}

/** The names of a domain's parameters in their order, and where each is. */
interface Layout {
  readonly names: readonly string[];
  readonly places: ReadonlyMap<string, number>;
}

class PlacedFields implements StatFields {
  readonly #places: ReadonlyMap<string, number>;
  readonly #values: readonly FieldValue[];

  constructor(places: ReadonlyMap<string, number>, values: readonly FieldValue[]) {
    this.#places = places;
    this.#values = values;
  }

  get size(): number {
    return this.#places.size;
  }

  get(name: string): FieldValue | undefined {
    const place = this.#places.get(name);
    return place === undefined ? undefined : this.#values[place];
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }
}

/**
 * Finds parameters by name without an index of each domain's own: a domain has the same names in the same order from
 * one round to the next, and so have domains that are alike. Making a thousand of them anew was half of a round.
 */
export class FieldLayouts {
  readonly #byDomain = new Map<string, Layout>();
  readonly #byNames = new Map<string, Layout>();

  /** To be read before the lists hold another domain's. */
  of({ uuid }: Domain, { fields, values }: ParameterLists): StatFields {
    let layout = this.#byDomain.get(uuid);
    if (layout === undefined || !fits(layout, fields)) {
      layout = this.#find(fields);
      this.#byDomain.set(uuid, layout);
    }
    return new PlacedFields(layout.places, values);
  }

  /** Forgets the layouts of domains that are not among so many any more. */
  keep(listed: ReadonlySet<string>): void {
    if (this.#byDomain.size <= listed.size) return;
    for (const uuid of this.#byDomain.keys()) if (!listed.has(uuid)) this.#byDomain.delete(uuid);
    const used = new Set(this.#byDomain.values());
    for (const [key, layout] of this.#byNames) if (!used.has(layout)) this.#byNames.delete(key);
  }

  #find(fields: readonly string[]): Layout {
    const key = fields.join("\n");
    let layout = this.#byNames.get(key);
    if (layout === undefined) {
      layout = { names: [...fields], places: new Map(fields.map((name, place) => [name, place])) };
      this.#byNames.set(key, layout);
    }
    return layout;
  }
}

function fits({ names }: Layout, fields: readonly string[]): boolean {
  if (names.length !== fields.length) return false;
  for (let place = 0; place < names.length; place += 1) if (fields[place] !== names[place]) return false;
  return true;
}
