import { BoundedQueue, type QueueItem } from "./bounded-queue.ts";

/** One publisher, any number of subscribers, each with its own bounded queue: a slow subscriber delays only itself. */
export class Topic<T> {
  readonly #queues = new Set<BoundedQueue<T>>();

  get subscribers(): number {
    return this.#queues.size;
  }

  publish(value: T): void {
    for (const queue of this.#queues) queue.push(value);
  }

  /**
   * Subscribes at once (nothing published after the call is missed); ends when the signal aborts or the reader leaves its
   * loop. An `overflow` item means that the subscriber was too slow and must read the current state again.
   */
  subscribe(signal: AbortSignal, capacity = 1024): AsyncIterable<QueueItem<T>> {
    const queue = new BoundedQueue<T>(capacity);
    const end = (): void => {
      signal.removeEventListener("abort", end);
      this.#queues.delete(queue);
      queue.close();
    };
    if (signal.aborted) {
      queue.close();
    } else {
      this.#queues.add(queue);
      signal.addEventListener("abort", end, { once: true });
    }
    return {
      async *[Symbol.asyncIterator]() {
        try {
          yield* queue;
        } finally {
          end();
        }
      },
    };
  }
}
