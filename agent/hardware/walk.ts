import { readdir } from "node:fs/promises";
import { isAbsent } from "./reading.ts";

const RESCAN_MS = 5 * 60_000;

/** Caches a scan: a machine's devices change rarely, so it scans every five minutes, or `now`. */
export function rescanned<T>(
  monotonicMs: () => number,
  scan: (signal: AbortSignal) => Promise<T>,
): (signal: AbortSignal, when?: "now") => Promise<T> {
  let found: { readonly value: T; readonly atMs: number } | undefined;
  return async (signal, when) => {
    if (when === "now" || found === undefined || monotonicMs() - found.atMs >= RESCAN_MS)
      found = { value: await scan(signal), atMs: monotonicMs() };
    return found.value;
  };
}

/** Made once: localeCompare makes one per comparison, which blocks the agent of a large machine for 100 ms. */
const natural = new Intl.Collator("en", { numeric: true });

/** A directory's entries in natural order (cpu2 before cpu10); empty if it does not exist. */
export async function entriesOf(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort(natural.compare);
  } catch (cause) {
    if (isAbsent(cause)) return [];
    throw cause;
  }
}

/** The number in a file's text; undefined if there is none. */
export function numberOf(text: string | undefined): number | undefined {
  const value = Number(text);
  return text === undefined || text === "" || !Number.isFinite(value) ? undefined : value;
}

/** Numbers duplicate names, so that each is its own metric series. */
export function unique(taken: Set<string>, name: string): string {
  let free = name;
  for (let number = 2; taken.has(free); number += 1) free = `${name} ${number}`;
  taken.add(free);
  return free;
}

/** Keeps counters monotonic where the kernel lowers or omits them: a drop would look like a counter reset. */
export class MonotonicCounters {
  readonly #highest = new Map<string, number>();

  /** The highest value so far; undefined before the first. */
  of(counter: string, count: number | undefined): number | undefined {
    const before = this.#highest.get(counter);
    if (count === undefined || (before !== undefined && before >= count)) return before;
    this.#highest.set(counter, count);
    return count;
  }
}

/** An error that `reading` reports as `unsupported`: this machine does not have it. */
export const notHere = (what: string): Error => Object.assign(new Error(what), { code: "ENODEV" });
