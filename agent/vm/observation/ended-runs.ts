import type { Domain } from "../../libvirt/index.ts";

/**
 * The runs of guests that a read found ended. Answers overtake events: one that says that a guest of such a run is running
 * is older than the read. libvirt numbers the runs of all domains upwards while its daemon lives.
 */
export class EndedRuns {
  readonly #newest = new Map<string, number>();
  readonly #ended = new Map<string, number>();

  /** An event of this run came. */
  saw({ uuid, id }: Domain): void {
    if (id > (this.#newest.get(uuid) ?? 0)) this.#newest.set(uuid, id);
  }

  /** A read found the domain off. */
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

  /** With another daemon the numbers may begin again. */
  forgetAll(): void {
    this.#newest.clear();
    this.#ended.clear();
  }
}
