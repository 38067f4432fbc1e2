/** An item, or that the subscriber was too slow: `dropped` items are lost, so list the current state again. */
export type TopicItem<T> =
  | { readonly kind: "item"; readonly value: T }
  | { readonly kind: "overflow"; readonly dropped: number };

export interface Subscribable<T> {
  /**
   * Subscribes at once: nothing published after the call is missed. Ends when the signal aborts or the reader leaves its
   * loop. `capacity` is the number of items that wait for a slow reader: 1024 by default.
   */
  subscribe(signal: AbortSignal, capacity?: number): AsyncIterable<TopicItem<T>>;
}

/** One publisher, any number of subscribers, each with its own bounded queue: a slow subscriber delays only itself. */
export class Topic<T> implements Subscribable<T> {
  readonly #queues = new Set<Queue<T>>();
  #ended = false;

  publish(value: T): void {
    for (const queue of this.#queues) queue.push(value);
  }

  /** Ends all subscriptions, after the items that wait for their readers. */
  end(): void {
    this.#ended = true;
    for (const queue of this.#queues) queue.close();
    this.#queues.clear();
  }

  subscribe(signal: AbortSignal, capacity = 1024): AsyncIterable<TopicItem<T>> {
    const queue = new Queue<T>(capacity);
    const end = (): void => {
      signal.removeEventListener("abort", end);
      this.#queues.delete(queue);
      queue.close();
    };
    if (signal.aborted || this.#ended) {
      queue.close();
    } else {
      this.#queues.add(queue);
      signal.addEventListener("abort", end, { once: true });
    }
    return {
      async *[Symbol.asyncIterator]() {
        try {
          yield* queue.items();
        } finally {
          end();
        }
      },
    };
  }
}

/** A full queue drops all its items and says so before the next one. */
class Queue<T> {
  readonly #capacity: number;
  #items: T[] = [];
  #dropped = 0;
  #closed = false;
  #wake: (() => void) | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  push(value: T): void {
    if (this.#items.length >= this.#capacity) {
      this.#dropped += this.#items.length;
      this.#items = [];
    }
    this.#items.push(value);
    this.#wake?.();
  }

  /** What is queued is still delivered. */
  close(): void {
    this.#closed = true;
    this.#wake?.();
  }

  async *items(): AsyncGenerator<TopicItem<T>, void, undefined> {
    for (;;) {
      if (this.#dropped > 0) {
        const dropped = this.#dropped;
        this.#dropped = 0;
        yield { kind: "overflow", dropped };
      }
      const value = this.#dropped === 0 ? this.#items.shift() : undefined;
      if (value !== undefined) yield { kind: "item", value };
      else if (this.#dropped > 0) continue;
      else if (this.#closed) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
