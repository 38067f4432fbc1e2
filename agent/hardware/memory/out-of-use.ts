import { join } from "node:path";
import { nodeIds } from "./numa.ts";
import { parseNumberList, parseWhole, readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { entriesOf } from "../walk.ts";

/** Unusable CPUs or memory by NUMA node id; nodes without any are absent. */
export type ByNode<T> = ReadonlyMap<number, T>;

/**
 * Present CPUs that the kernel or an operator took offline. Threads that are off because the machine runs without SMT
 * (nosmt) do not count.
 */
export function readOfflineCpus({ sysRoot }: Roots): Promise<Reading<ByNode<readonly number[]>>> {
  const cpus = join(sysRoot, "devices/system/cpu");
  const list = async (name: string): Promise<number[]> =>
    parseNumberList(await readText(join(cpus, name)), `cpu/${name}`);
  return reading(`offline CPUs of ${cpus}`, async () => {
    const smt = await readTextIfThere(join(cpus, "smt/control"));
    if (smt === "off" || smt === "forceoff") return new Map();
    const online = new Set(await list("online"));
    const offline = (await list("present")).filter((cpu) => !online.has(cpu));
    return offline.length === 0 ? new Map() : byNode(join(sysRoot, "devices/system/node"), offline);
  });
}

/** A node keeps links to its offline CPUs. A kernel without NUMA has one node. */
async function byNode(directory: string, cpus: readonly number[]): Promise<ByNode<readonly number[]>> {
  const found = new Map<number, readonly number[]>();
  for (const id of await nodeIds(directory)) {
    const links = new Set(await entriesOf(join(directory, `node${id}`)));
    const here = cpus.filter((cpu) => links.has(`cpu${cpu}`));
    if (here.length > 0) found.set(id, here);
  }
  const placed = new Set([...found.values()].flat());
  const rest = cpus.filter((cpu) => !placed.has(cpu));
  return rest.length === 0 ? found : found.set(0, [...(found.get(0) ?? []), ...rest]);
}

/**
 * Poisoned pages taken out of use since boot (Documentation/ABI/testing/sysfs-memory-page-offline and
 * sysfs-devices-node, memory_failure: Linux 6.4), by node. /proc/meminfo has their total bytes.
 */
export function readPoisonedPages({ sysRoot }: Roots): Promise<Reading<ByNode<number>>> {
  const directory = join(sysRoot, "devices/system/node");
  return reading(`poisoned pages of ${directory}`, async () => {
    const found = new Map<number, number>();
    for (const id of await nodeIds(directory)) {
      const path = join(directory, `node${id}/memory_failure/total`);
      const pages = parseWhole(await readText(path), path);
      if (pages > 0) found.set(id, pages);
    }
    return found;
  });
}
