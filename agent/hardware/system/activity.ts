import { join } from "node:path";
import { defined } from "../../kernel/defined.ts";
import { pageBytes } from "../memory/page-size.ts";
import { parseWhole, readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";

/** Host activity other than CPU time. Counters start at boot. */
interface Activity {
  /** Average tasks running, runnable or waiting for a disk, over that many minutes. */
  readonly loadAverage: { readonly 1: number; readonly 5: number; readonly 15: number };
  readonly threads: number;
  readonly openFiles: number;
  readonly maxOpenFiles: number;
  /** Page faults that read from a disk. */
  readonly majorFaults?: number;
  readonly swapInBytes?: number;
  readonly swapOutBytes?: number;
  readonly oomKills?: number;
}

/** From /proc/loadavg, sys/fs/file-nr and vmstat; a kernel may omit some fields. */
export const readActivity = ({ procRoot }: Roots): Promise<Reading<Activity>> =>
  reading(join(procRoot, "loadavg"), async () => {
    const load = parseLoad(await readText(join(procRoot, "loadavg")));
    const vmstat = firstNumbers((await readTextIfThere(join(procRoot, "vmstat"))) ?? "");
    const [openFiles, , maxOpenFiles] = (await readText(join(procRoot, "sys/fs/file-nr"))).split(/\s+/);
    const counter = (name: string, unit = 1): number | undefined => {
      const text = vmstat.get(name);
      return text === undefined ? undefined : parseWhole(text, name) * unit;
    };
    const page = await pageBytes();
    return defined({
      ...load,
      openFiles: parseWhole(openFiles, "file-nr"),
      maxOpenFiles: parseLimit(maxOpenFiles),
      majorFaults: counter("pgmajfault"),
      swapInBytes: counter("pswpin", page),
      swapOutBytes: counter("pswpout", page),
      oomKills: counter("oom_kill"),
    });
  });

function parseLoad(text: string): Pick<Activity, "loadAverage" | "threads"> {
  const [, one, five, fifteen, threads] = /^(\d+\.\d+) (\d+\.\d+) (\d+\.\d+) \d+\/(\d+) /.exec(text) ?? [];
  if (threads === undefined) throw new Error(`cannot parse loadavg: ${JSON.stringify(text.slice(0, 40))}`);
  const loadAverage = { 1: Number(one), 5: Number(five), 15: Number(fifteen) };
  return { loadAverage, threads: Number(threads) };
}

/** systemd sets 2^63-1, which a number cannot hold exactly. */
function parseLimit(text: string | undefined): number {
  if (text === undefined || !/^\d+$/.test(text)) throw new Error("file-nr has no limit");
  return Number(text);
}

/** The first number after the name in each line. */
function firstNumbers(text: string): ReadonlyMap<string, string> {
  const numbers = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [name = "", number] = line.split(/\s+/, 2);
    if (number !== undefined) numbers.set(name, number);
  }
  return numbers;
}
