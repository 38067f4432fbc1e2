/** A queue in which owners take turns, so that a burst delays its own owner first. Each owner's items keep their order. */
export class FairQueue<T> {
  /** By owner, in the order of their turns. No list is empty. */
  readonly #items = new Map<string, T[]>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(owner: string, item: T): void {
    const own = this.#items.get(owner);
    if (own === undefined) this.#items.set(owner, [item]);
    else own.push(item);
    this.#length += 1;
  }

  /** Returns the next owner's first item and moves that owner to the end. */
  shift(): T | undefined {
    const next = this.#items.entries().next();
    if (next.done === true) return undefined;
    const [owner, own] = next.value;
    const item = own.shift();
    this.#items.delete(owner);
    if (own.length > 0) this.#items.set(owner, own);
    this.#length -= 1;
    return item;
  }

  /** Removes an item out of turn. */
  remove(owner: string, item: T): void {
    const own = this.#items.get(owner) ?? [];
    const at = own.indexOf(item);
    if (at === -1) return;
    own.splice(at, 1);
    if (own.length === 0) this.#items.delete(owner);
    this.#length -= 1;
  }
}
