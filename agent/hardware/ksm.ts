import { join } from "node:path";
import { pageBytes } from "./page-size.ts";
import { parseWhole, readText, reading, type Reading } from "./reading.ts";
import type { Roots } from "./roots.ts";

/** Kernel samepage merging: equal pages of guests kept once. */
export interface SamePages {
  readonly running: boolean;
  /** What the pages would take that are now kept once. */
  readonly savedBytes: number;
}

/** Unsupported by a kernel without KSM. */
export function readKsm(roots: Roots): Promise<Reading<SamePages>> {
  const directory = join(roots.sysRoot, "kernel/mm/ksm");
  return reading(directory, async () => {
    const [run, sharing] = await Promise.all(
      ["run", "pages_sharing"].map(async (file) => parseWhole(await readText(join(directory, file)), file)),
    );
    return { running: run === 1, savedBytes: (sharing ?? 0) * (await pageBytes()) };
  });
}
