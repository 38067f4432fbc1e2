import { readFile } from "node:fs/promises";

const AT_PAGESZ = 6n;

/** The kernel's page size, from this process's auxiliary vector (getauxval(3)). */
export async function pageBytes(): Promise<number> {
  const auxiliary = await readFile("/proc/self/auxv");
  for (let at = 0; at + 16 <= auxiliary.length; at += 16) {
    if (auxiliary.readBigUInt64LE(at) === AT_PAGESZ) return Number(auxiliary.readBigUInt64LE(at + 8));
  }
  throw new Error("/proc/self/auxv has no page size");
}
