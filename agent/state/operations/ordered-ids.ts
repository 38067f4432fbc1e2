/** Ids that are added in ascending order, and mostly removed in that order. */
export class OrderedIds {
  #ids: string[] = [];
  readonly #removed = new Set<string>();

  get size(): number {
    return this.#ids.length - this.#removed.size;
  }

  get newest(): string | undefined {
    return this.#ids.at(-1);
  }

  add(id: string): void {
    this.#ids.push(id);
  }

  /** Call once, with an added id. */
  remove(id: string): void {
    this.#removed.add(id);
    if (this.#removed.size * 2 <= this.#ids.length) return;
    this.#ids = this.#ids.filter((kept) => !this.#removed.has(kept));
    this.#removed.clear();
  }

  /** Ids below `bound`, highest first. */
  *below(bound: string): Generator<string> {
    for (let index = this.#firstFrom(bound) - 1; index >= 0; index -= 1) yield* this.#kept(index);
  }

  /** Ids above `bound`, lowest first. */
  *above(bound: string): Generator<string> {
    const first = this.#firstFrom(bound);
    for (let index = first; index < this.#ids.length; index += 1)
      if (this.#ids[index] !== bound) yield* this.#kept(index);
  }

  *#kept(index: number): Generator<string> {
    const id = this.#ids[index] ?? "";
    if (!this.#removed.has(id)) yield id;
  }

  /** The index of the first id that is not below `bound`. */
  #firstFrom(bound: string): number {
    let low = 0;
    let high = this.#ids.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ids[middle] ?? "") < bound) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
