import { readdir } from "node:fs/promises";
import { isAbsent } from "./reading.ts";

const RESCAN_MS = 5 * 60_000;

/** What there is on a machine changes rarely: it is looked for every five minutes, or `now`, and handed out meanwhile. */
export function rescanned<T>(
  monotonicMs: () => number,
  scan: (signal: AbortSignal) => Promise<T>,
): (signal: AbortSignal, when?: "now") => Promise<T> {
  let found: { readonly value: T; readonly atMs: number } | undefined;
  return async (signal, when) => {
    if (when === "now" || found === undefined || monotonicMs() - found.atMs >= RESCAN_MS) {
      found = { value: await scan(signal), atMs: monotonicMs() };
    }
    return found.value;
  };
}

/** Made once: localeCompare makes one for each two that it compares, which holds a large machine's agent up for 100 ms. */
const natural = new Intl.Collator("en", { numeric: true });

/** A directory's entries in natural order (cpu2 before cpu10); none for one that is not there. */
export async function entriesOf(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort(natural.compare);
  } catch (cause) {
    if (isAbsent(cause)) return [];
    throw cause;
  }
}

/** A number that a file holds; undefined where it holds none. */
export function numberOf(text: string | undefined): number | undefined {
  const value = Number(text);
  return text === undefined || text === "" || !Number.isFinite(value) ? undefined : value;
}

/** Two of the same name must not be the same series. */
export function unique(taken: Set<string>, name: string): string {
  let free = name;
  for (let number = 2; taken.has(free); number += 1) free = `${name} ${number}`;
  taken.add(free);
  return free;
}

/** Holds up counters that the kernel lets fall, or does not tell for a while: a fall would be taken for a new start. */
export class Risen {
  readonly #highest = new Map<string, number>();

  /** The highest that it was seen at; undefined where it never was. */
  of(counter: string, count: number | undefined): number | undefined {
    const before = this.#highest.get(counter);
    if (count === undefined || (before !== undefined && before >= count)) return before;
    this.#highest.set(counter, count);
    return count;
  }
}

/** This machine does not have it: what `reading` turns into `unsupported`. */
export function notHere(what: string): Error {
  return Object.assign(new Error(what), { code: "ENODEV" });
}
