import { readdir, readFile } from "node:fs/promises";

/** Of the kernel's USER_HZ, in which /proc counts: 100 on every Linux that Debian builds. */
const TICK_MS = 10;

/** CPU time that a process and those of its children that ended have used, in ms; in steps of 10. */
export async function cpuMsWithChildren(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8");
  // proc_pid_stat(5): the name, in brackets, may hold anything; utime is field 14, cstime 17.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * TICK_MS, 0);
}

/** CPU time that the threads of a process have used that live now, in ms, to the nanosecond. */
export async function cpuMs(pid: number): Promise<number> {
  let sumMs = 0;
  for (const thread of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${thread}/schedstat`, "utf8").catch(() => "0");
    sumMs += Number(text.split(" ")[0]) / 1e6;
  }
  return sumMs;
}

export interface Memory {
  /** As ps and systemd show it. */
  readonly rssBytes: number;
  /** Each page that others map as well (the node binary's, for one) counted by its share. */
  readonly pssBytes: number;
  /** What nothing but memory backs: heap and stacks. */
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
