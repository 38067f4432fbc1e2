import { readdir, readFile } from "node:fs/promises";

/** The kernel's USER_HZ for /proc: 100 on every Linux of Debian. */
const TICK_MS = 10;

/** CPU time of a process and its ended children, in ms; in steps of 10. */
export async function cpuMsWithChildren(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  // proc_pid_stat(5): the name, in brackets, may hold anything; utime is field 14, cstime 17.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * TICK_MS, 0);
}

/** CPU time of a process's current threads, in ms, to the nanosecond. */
export async function cpuMs(pid: number): Promise<number> {
  let sumMs = 0;
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8").catch(() => "0");
    sumMs += Number(text.split(" ")[0]) / 1e6;
  }
  return sumMs;
}

export interface Memory {
  /** Resident memory, as in ps and systemd. */
  readonly rssBytes: number;
  /** Proportional memory: a shared page (such as the node binary's) counts by its share. */
  readonly pssBytes: number;
  /** Anonymous memory: heap and stacks. */
  readonly anonymousBytes: number;
}

export async function memory(pid: number): Promise<Memory> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, "utf8");
  const bytes = (name: string): number => {
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1];
    if (kib === undefined) throw new Error(`/proc/${pid}/smaps_rollup has no ${name}`);
    return Number(kib) * 1024;
  };
  return { rssBytes: bytes("Rss"), pssBytes: bytes("Pss"), anonymousBytes: bytes("Anonymous") };
}
