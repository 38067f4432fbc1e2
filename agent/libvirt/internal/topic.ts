/** An item, or that the subscriber was too slow: `dropped` items are lost, so list the current state again. */
export type TopicItem<T> =
  | { readonly kind: "item"; readonly value: T }
  | { readonly kind: "overflow"; readonly dropped: number };

export interface Subscribable<T> {
  /**
   * Subscribes at once: nothing published after the call is missed. Ends when the signal aborts or the reader leaves its
   * loop; a subscription that its owner drops before the first read ends with garbage collection. `capacity` is the
   * number of items that wait for a slow reader: 1024 by default.
   */
  subscribe(signal: AbortSignal, capacity?: number): AsyncIterable<TopicItem<T>>;
}

interface Subscription<T> {
  readonly signal: AbortSignal;
  /** Weak, so that a subscription without a reader can be collected. The signal's listener keeps it for its reader. */
  readonly queue: WeakRef<Queue<T>>;
}

/** One publisher, any number of subscribers, each with its own bounded queue: a slow subscriber delays only itself. */
export class Topic<T> implements Subscribable<T> {
  readonly #subscriptions = new Set<Subscription<T>>();
  #ended = false;

  publish(value: T): void {
    for (const subscription of this.#subscriptions) {
      const queue = subscription.queue.deref();
      if (queue === undefined || subscription.signal.aborted) this.#subscriptions.delete(subscription);
      else queue.push(value);
    }
  }

  /** Ends all subscriptions, after the items that wait for their readers. */
  end(): void {
    this.#ended = true;
    for (const { queue } of this.#subscriptions) queue.deref()?.close();
    this.#subscriptions.clear();
  }

  subscribe(signal: AbortSignal, capacity = 1024): AsyncIterable<TopicItem<T>> {
    const queue = new Queue<T>(capacity);
    const subscription = { signal, queue: new WeakRef(queue) };
    if (this.#ended) queue.close();
    else this.#subscriptions.add(subscription);
    return { [Symbol.asyncIterator]: () => this.#read(queue, subscription) };
  }

  async *#read(
    queue: Queue<T>,
    subscription: Subscription<T>,
  ): AsyncGenerator<TopicItem<T>, void, undefined> {
    const { signal } = subscription;
    const end = (): void => {
      this.#subscriptions.delete(subscription);
      queue.close();
    };
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    try {
      yield* queue.items();
    } finally {
      signal.removeEventListener("abort", end);
      end();
    }
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
