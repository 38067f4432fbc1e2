import { join } from "node:path";
import { pageBytes } from "./page-size.ts";
import { parseWhole, readText, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";

/** Kernel samepage merging: equal pages of guests are stored once. */
interface SamePages {
  /** Memory that the merged pages would use unmerged. */
  readonly savedBytes: number;
}

/** Unsupported on a kernel without KSM. */
export function readKsm(roots: Roots): Promise<Reading<SamePages>> {
  const directory = join(roots.sysRoot, "kernel/mm/ksm");
  return reading(directory, async () => {
    const sharing = parseWhole(await readText(join(directory, "pages_sharing")), "pages_sharing");
    return { savedBytes: sharing * (await pageBytes()) };
  });
}
