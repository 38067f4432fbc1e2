import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseNumberList, parseWhole, readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { defined } from "../../kernel/defined.ts";

export interface CpuTopology {
  /** Hardware threads grouped by core; a single thread is a group of one. Ascending. */
  readonly cores: readonly (readonly number[])[];
  /** Last-level caches and the CPUs that share each. Empty if the kernel does not report them. */
  readonly caches: readonly CacheGroup[];
}

export interface CacheGroup {
  readonly level: number;
  readonly sizeBytes?: number;
  readonly cpus: readonly number[];
}

const TIMEOUT_MS = 5000;

/** Topology of the online CPUs. */
export function readCpuTopology(roots: Roots): Promise<Reading<CpuTopology>> {
  const directory = join(roots.sysRoot, "devices/system/cpu");
  const read = async (): Promise<CpuTopology> => {
    const online = parseNumberList(await readText(join(directory, "online")), "cpu/online");
    const cores = new Map<string, number[]>();
    const caches = new Map<string, CacheGroup>();
    const inCore = new Set<number>();
    const inCache = new Set<number>();
    // Sequential, and only one CPU of each group: a large machine has thousands of these files.
    for (const cpu of online) {
      if (!inCore.has(cpu)) {
        const list = await readTextIfThere(join(directory, `cpu${cpu}/topology/thread_siblings_list`));
        const threads = list === undefined ? [cpu] : parseNumberList(list, `siblings of cpu ${cpu}`);
        for (const thread of threads) inCore.add(thread);
        cores.set(threads.join(","), threads);
      }
      if (inCache.has(cpu)) continue;
      const cache = await lastCache(join(directory, `cpu${cpu}/cache`));
      if (cache === undefined) continue;
      for (const sharer of cache.cpus) inCache.add(sharer);
      caches.set(cache.cpus.join(","), cache);
    }
    return { cores: [...cores.values()], caches: [...caches.values()] };
  };
  return reading(directory, read, TIMEOUT_MS);
}

/** The highest-level data cache; undefined if the kernel shows none. */
async function lastCache(directory: string): Promise<CacheGroup | undefined> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch {
    return undefined; // the kernel of a virtual machine often has none
  }
  let last: CacheGroup | undefined;
  for (const name of names.filter((candidate) => candidate.startsWith("index"))) {
    const file = (part: string): Promise<string | undefined> => readTextIfThere(join(directory, name, part));
    const [level, type, cpus] = [await file("level"), await file("type"), await file("shared_cpu_list")];
    if (level === undefined || cpus === undefined || type === "Instruction") continue;
    if (last !== undefined && parseWhole(level, "cache level") <= last.level) continue;
    const size = /^(\d+)K$/.exec((await file("size")) ?? "")?.[1];
    last = defined({
      level: parseWhole(level, "cache level"),
      sizeBytes: size === undefined ? undefined : Number(size) * 1024,
      cpus: parseNumberList(cpus, "cache cpus"),
    });
  }
  return last;
}
