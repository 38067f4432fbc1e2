import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseMeminfo } from "./memory.ts";
import { parseNumberList, parseWhole, readText, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { entriesOf } from "../walk.ts";

/** A NUMA node in sysfs. Each part is read separately, so that one failure does not affect the others. */
export interface NumaNode {
  readonly id: number;
  /** Online CPUs. Empty for a memory-only node. */
  readonly cpus: Reading<readonly number[]>;
  readonly memory: Reading<NodeMemory>;
  /** Distance to node i at index i, as the firmware reports it (10: itself). */
  readonly distances: Reading<readonly number[]>;
  readonly hugepages: Reading<readonly HugepagePool[]>;
}

interface NodeMemory {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly bytesByName: ReadonlyMap<string, number>;
}

interface HugepagePool {
  readonly sizeBytes: number;
  /** Total pages in the pool. */
  readonly total: number;
  readonly free: number;
}

/** All nodes, ascending. A kernel without NUMA has one, node 0: the whole machine. */
export function readNuma(roots: Roots): Promise<Reading<readonly NumaNode[]>> {
  const directory = join(roots.sysRoot, "devices/system/node");
  return reading(directory, async () => {
    const ids = await nodeIds(directory);
    if (ids.length === 0) return [await readNode(0, wholeMachine(roots))];
    return Promise.all(ids.map((id) => readNode(id, partsOf(join(directory, `node${id}`)))));
  });
}

interface NodePaths {
  readonly cpus: string;
  readonly memory: string;
  readonly distances: string;
  readonly hugepages: string;
}

const partsOf = (node: string): NodePaths => ({
  cpus: join(node, "cpulist"),
  memory: join(node, "meminfo"),
  distances: join(node, "distance"),
  hugepages: join(node, "hugepages"),
});

const wholeMachine = (roots: Roots): NodePaths => ({
  cpus: join(roots.sysRoot, "devices/system/cpu/online"),
  memory: join(roots.procRoot, "meminfo"),
  distances: join(roots.sysRoot, "devices/system/node/node0/distance"),
  hugepages: join(roots.sysRoot, "kernel/mm/hugepages"),
});

/** Node ids, ascending; empty on a kernel without NUMA. */
export const nodeIds = async (directory: string): Promise<number[]> =>
  (await entriesOf(directory)).flatMap((name) => /^node(\d+)$/.exec(name)?.[1] ?? []).map(Number);

async function readNode(id: number, paths: NodePaths): Promise<NumaNode> {
  const part = <T>(path: string, parse: (path: string) => Promise<T>): Promise<Reading<T>> =>
    reading(`${path} of node ${id}`, () => parse(path));
  const [cpus, memory, distances, hugepages] = await Promise.all([
    part(paths.cpus, async (path) => parseNumberList(await readText(path), path)),
    part(paths.memory, readNodeMemory),
    part(paths.distances, async (path) =>
      (await readText(path)).split(/\s+/).map((distance) => parseWhole(distance, path)),
    ),
    part(paths.hugepages, readHugepages),
  ]);
  return { id, cpus, memory, distances, hugepages };
}

async function readNodeMemory(path: string): Promise<NodeMemory> {
  const bytesByName = parseMeminfo(await readText(path));
  const totalBytes = bytesByName.get("MemTotal");
  const freeBytes = bytesByName.get("MemFree");
  if (totalBytes === undefined || freeBytes === undefined)
    throw new Error(`${path} has no MemTotal or no MemFree`);
  return { totalBytes, freeBytes, bytesByName };
}

async function readHugepages(directory: string): Promise<HugepagePool[]> {
  const names = (await readdir(directory)).map((name) => /^hugepages-(\d+)kB$/.exec(name)?.[1]);
  const sizesKiB = names.filter((size) => size !== undefined).map(Number);
  return Promise.all(
    sizesKiB
      .sort((a, b) => a - b)
      .map(async (sizeKiB) => {
        const pool = join(directory, `hugepages-${sizeKiB}kB`);
        const [total, free] = await Promise.all(
          ["nr_hugepages", "free_hugepages"].map(async (name) =>
            parseWhole(await readText(join(pool, name)), join(pool, name)),
          ),
        );
        if (total === undefined || free === undefined) throw new Error(`${pool} could not be read`);
        return { sizeBytes: sizeKiB * 1024, total, free };
      }),
  );
}
