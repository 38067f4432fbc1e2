import { join } from "node:path";
import { readText, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";

export interface MemoryInfo {
  readonly totalBytes: number;
  /** Memory available to programs without swapping: MemAvailable, the kernel's own estimate. */
  readonly availableBytes: number;
  /** Reserved as huge pages of any size: part of the total, never of the available memory. */
  readonly hugetlbBytes: number;
  /** Each kB line of meminfo by the kernel's name, in bytes. */
  readonly bytesByName: ReadonlyMap<string, number>;
}

export function readMemory(roots: Roots): Promise<Reading<MemoryInfo>> {
  const path = join(roots.procRoot, "meminfo");
  return reading(path, async () => {
    const bytesByName = parseMeminfo(await readText(path));
    const need = (name: string): number => {
      const bytes = bytesByName.get(name);
      if (bytes === undefined) throw new Error(`${path} has no ${name}`);
      return bytes;
    };
    return {
      totalBytes: need("MemTotal"),
      availableBytes: need("MemAvailable"),
      hugetlbBytes: bytesByName.get("Hugetlb") ?? 0,
      bytesByName,
    };
  });
}

/**
 * The kB lines of /proc/meminfo or, with the prefix "Node 0", of a node's meminfo. Negative differences, which the kernel
 * sometimes computes, are omitted.
 */
export function parseMeminfo(text: string): Map<string, number> {
  const bytesByName = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^(?:Node \d+ )?([^:\s]+):\s+(\d+) kB$/.exec(line.trim());
    const kibibytes = Number(match?.[2]);
    if (match?.[1] !== undefined && Number.isSafeInteger(kibibytes))
      bytesByName.set(match[1], kibibytes * 1024);
  }
  return bytesByName;
}
