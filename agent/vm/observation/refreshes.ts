import type { Domain } from "../../libvirt/index.ts";

/** Below the client's limit of calls in flight, so that refreshes never delay a round. */
const AT_ONCE = 3;

/**
 * VMs to read again: each once however often requested, a few at a time. A request during a VM's read causes another
 * read.
 */
export class Refreshes {
  readonly #read: (domain: Domain) => Promise<void>;
  /** libvirt's handles of the waiting VMs, by id. */
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

  /** Resolves once no VM waits and no read is in flight. */
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
