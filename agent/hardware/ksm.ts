import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseWhole, readText, reading, type Reading } from "./reading.ts";
import type { Roots } from "./roots.ts";

/** Kernel samepage merging: equal pages of guests kept once. */
export interface SamePages {
  /** What the pages would take that are now kept once. */
  readonly savedBytes: number;
}

/** Unsupported by a kernel without KSM. */
export function readKsm(roots: Roots): Promise<Reading<SamePages>> {
  const directory = join(roots.sysRoot, "kernel/mm/ksm");
  return reading(directory, async () => {
    const sharing = parseWhole(await readText(join(directory, "pages_sharing")), "pages_sharing");
    return { savedBytes: sharing * (await pageBytes()) };
  });
}

const AT_PAGESZ = 6n;

/** The kernel's page size, from what it told this process at its start (getauxval(3)). */
async function pageBytes(): Promise<number> {
  const auxiliary = await readFile("/proc/self/auxv");
  for (let at = 0; at + 16 <= auxiliary.length; at += 16) {
    if (auxiliary.readBigUInt64LE(at) === AT_PAGESZ) return Number(auxiliary.readBigUInt64LE(at + 8));
  }
  throw new Error("/proc/self/auxv names no page size");
}
