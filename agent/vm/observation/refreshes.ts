import type { Domain } from "../../libvirt/index.ts";

/** Below the client's bound on calls in flight, so that a round is never kept waiting by refreshes. */
const AT_ONCE = 3;

/**
 * The VMs that are to be read again, each once however often it was asked for, a few at a time. One that is asked for
 * while it is being read is read again afterwards.
 */
export class Refreshes {
  readonly #read: (domain: Domain) => Promise<void>;
  /** How libvirt calls those that wait, by id. */
  readonly #waiting = new Map<string, Domain>();
  readonly #workers = new Set<Promise<void>>();

  /** `read` does not throw. */
  constructor(read: (domain: Domain) => Promise<void>) {
    this.#read = read;
  }

  add(domain: Domain): void {
    this.#waiting.set(domain.uuid, domain);
    while (this.#workers.size < AT_ONCE && this.#waiting.size > 0) {
      const worker = this.#drain().finally(() => this.#workers.delete(worker));
      this.#workers.add(worker);
    }
  }

  /** Resolves once nothing waits and nothing is being read. */
  async settled(): Promise<void> {
    while (this.#workers.size > 0) await Promise.allSettled(this.#workers);
  }

  async #drain(): Promise<void> {
    for (;;) {
      const next = this.#waiting.entries().next();
      if (next.done === true) return;
      const [id, domain] = next.value;
      this.#waiting.delete(id);
      await this.#read(domain);
    }
  }
}
