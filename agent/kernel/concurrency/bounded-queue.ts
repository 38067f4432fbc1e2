/**
 * A queue between a producer that cannot wait and one consumer that may be slow. A full queue drops all its items
 * and sets `overflowed`. The consumer's next read then yields an `overflow` item, so that it lists again.
 */
export type QueueItem<T> =
  | { readonly kind: "item"; readonly value: T }
  | { readonly kind: "overflow"; readonly dropped: number };

export class BoundedQueue<T> implements AsyncIterable<QueueItem<T>> {
  readonly #capacity: number;
  #items: T[] = [];
  #head = 0;
  #dropped = 0;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(value: T): void {
    if (this.#closed) return;
    if (this.size >= this.#capacity) {
      this.#dropped += this.size;
      this.#items = [];
      this.#head = 0;
    }
    this.#items.push(value);
    this.#wake?.();
  }

  /** Ends the queue: queued items are still delivered, then iteration finishes. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<QueueItem<T>, void, undefined> {
    for (;;) {
      if (this.#dropped > 0) {
        const dropped = this.#dropped;
        this.#dropped = 0;
        yield { kind: "overflow", dropped };
      }
      while (this.#dropped === 0 && this.size > 0) yield { kind: "item", value: this.#take() };
      if (this.#dropped > 0) continue;
      if (this.#closed) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  #take(): T {
    const value = this.#items[this.#head] as T;
    this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return value;
  }
}
