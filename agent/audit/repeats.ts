import type { Clock } from "../kernel/clock.ts";
import type { Act } from "./entry.ts";

const windowMs = 10_000;
const maxKinds = 1024;

/** Acts that somebody may repeat as fast as he likes: the first of a kind is told at once, the others by their number. */
export class Repeats {
  readonly #clock: Clock;
  readonly #tell: (act: Act) => void;
  readonly #kinds = new Map<string, { readonly act: Act; untold: number }>();
  readonly #over = new AbortController();

  constructor(clock: Clock, tell: (act: Act) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  add(act: Act): void {
    const { caller, method, reason } = act;
    const kind = JSON.stringify([act.act, caller?.name, caller?.peer?.replace(/:\d+$/, ""), method, reason]);
    const known = this.#kinds.get(kind);
    if (known !== undefined) {
      known.untold += 1;
      return;
    }
    if (this.#kinds.size >= maxKinds) this.flush();
    this.#tell(act);
    const seen = { act, untold: 0 };
    this.#kinds.set(kind, seen);
    this.#clock.sleep(windowMs, this.#over.signal).then(
      () => {
        if (this.#kinds.get(kind) !== seen) return;
        this.#kinds.delete(kind);
        this.#tellRest(seen);
      },
      () => undefined,
    );
  }

  /** Tells what is not told yet. */
  flush(): void {
    const all = [...this.#kinds.values()];
    this.#kinds.clear();
    for (const seen of all) this.#tellRest(seen);
  }

  close(): void {
    this.flush();
    this.#over.abort();
  }

  #tellRest({ act, untold }: { readonly act: Act; readonly untold: number }): void {
    if (untold > 0) this.#tell({ ...act, times: untold });
  }
}
