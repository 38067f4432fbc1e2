import type { Domain } from "../../libvirt/index.ts";

/**
 * Guest runs that a read found ended. A reply can be older than an event: a reply that reports such a run as running is
 * older than the read. libvirt numbers the runs of all domains upwards while its daemon lives.
 */
export class EndedRuns {
  readonly #newest = new Map<string, number>();
  readonly #ended = new Map<string, number>();

  /** Records an event of this run. */
  saw({ uuid, id }: Domain): void {
    if (id > (this.#newest.get(uuid) ?? 0)) this.#newest.set(uuid, id);
  }

  /** Records that a read found the domain off. */
  ended(uuid: string): void {
    const run = this.#newest.get(uuid);
    if (run !== undefined) this.#ended.set(uuid, run);
  }

  has({ uuid, id }: Domain): boolean {
    return id > 0 && id <= (this.#ended.get(uuid) ?? 0);
  }

  forget(uuid: string): void {
    this.#newest.delete(uuid);
    this.#ended.delete(uuid);
  }

  /** A restarted daemon may number runs from the beginning. */
  forgetAll(): void {
    this.#newest.clear();
    this.#ended.clear();
  }
}
