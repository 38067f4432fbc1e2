import { join } from "node:path";
import { pageBytes } from "../memory/page-size.ts";
import { parseWhole, readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";

/** How much is going on on the host, beside what its CPUs did. Counters count from its boot. */
export interface Activity {
  /** Tasks that run, want to run, or wait for a disk; on average over so many minutes. */
  readonly loadAverage: { readonly 1: number; readonly 5: number; readonly 15: number };
  readonly threads: number;
  readonly openFiles: number;
  readonly maxOpenFiles: number;
  /** Pages that had to be read from a disk. */
  readonly majorFaults?: number;
  readonly swapInBytes?: number;
  readonly swapOutBytes?: number;
  readonly oomKills?: number;
}

/** From /proc/loadavg, sys/fs/file-nr and vmstat, of which a kernel may leave out a part. */
export function readActivity({ procRoot }: Roots): Promise<Reading<Activity>> {
  return reading(join(procRoot, "loadavg"), async () => {
    const load = parseLoad(await readText(join(procRoot, "loadavg")));
    const vmstat = firstNumbers((await readTextIfThere(join(procRoot, "vmstat"))) ?? "");
    const [openFiles, , maxOpenFiles] = (await readText(join(procRoot, "sys/fs/file-nr"))).split(/\s+/);
    const told = (name: string, unit = 1): number | undefined => {
      const text = vmstat.get(name);
      return text === undefined ? undefined : parseWhole(text, name) * unit;
    };
    const page = await pageBytes();
    const optional = {
      majorFaults: told("pgmajfault"),
      swapInBytes: told("pswpin", page),
      swapOutBytes: told("pswpout", page),
      oomKills: told("oom_kill"),
    };
    return {
      ...load,
      openFiles: parseWhole(openFiles, "file-nr"),
      maxOpenFiles: parseLimit(maxOpenFiles),
      ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    };
  });
}

function parseLoad(text: string): Pick<Activity, "loadAverage" | "threads"> {
  const [, one, five, fifteen, threads] = /^(\d+\.\d+) (\d+\.\d+) (\d+\.\d+) \d+\/(\d+) /.exec(text) ?? [];
  if (threads === undefined)
    throw new Error(`loadavg is not understood: ${JSON.stringify(text.slice(0, 40))}`);
  const loadAverage = { 1: Number(one), 5: Number(five), 15: Number(fifteen) };
  return { loadAverage, threads: Number(threads) };
}

/** systemd sets it to 2^63-1, which no number here holds to the unit. */
function parseLimit(text: string | undefined): number {
  if (text === undefined || !/^\d+$/.test(text)) throw new Error("file-nr has no limit");
  return Number(text);
}

/** Of lines that begin with a name, the first number behind it. */
function firstNumbers(text: string): ReadonlyMap<string, string> {
  const numbers = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [name = "", number] = line.split(/\s+/, 2);
    if (number !== undefined) numbers.set(name, number);
  }
  return numbers;
}
