import { join } from "node:path";
import { readFilesByChild } from "../privileged/child-files.ts";
import { reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { entriesOf, notHere, numberOf, rescanned } from "../walk.ts";
import { defined } from "../../kernel/defined.ts";

/** Errors of one memory module since the driver was loaded. */
export interface MemoryModule {
  /** The board's slot label if the firmware has one, else mc0/dimm3; unique. */
  readonly dimm: string;
  /** Absent if unreadable. */
  readonly correctedErrors?: number;
  readonly uncorrectedErrors?: number;
}

interface Module {
  readonly dimm: string;
  readonly corrected: string;
  readonly uncorrected: string;
}

/**
 * Counters of the memory controllers (Documentation/driver-api/edac.rst): per module, or per row of chips where the
 * driver knows no modules. Errors without a known module count as `mc0/unattributed`.
 */
export function memoryErrorsReader(
  { sysRoot }: Roots,
  monotonicMs: () => number,
): (signal: AbortSignal) => Promise<Reading<readonly MemoryModule[]>> {
  const root = join(sysRoot, "devices/system/edac/mc");
  const modulesOf = rescanned(monotonicMs, (signal) => findModules(root, signal));
  return (signal) =>
    reading(root, async () => {
      const modules = await modulesOf(signal);
      if (modules.length === 0) throw notHere("no memory controller that counts errors (EDAC)");
      const paths = modules.flatMap(({ corrected, uncorrected }) => [corrected, uncorrected]);
      const texts = await readFilesByChild(root, paths, signal);
      return modules.map(({ dimm, corrected, uncorrected }): MemoryModule => {
        const correctedErrors = numberOf(texts.get(corrected));
        const uncorrectedErrors = numberOf(texts.get(uncorrected));
        return defined({ dimm, correctedErrors, uncorrectedErrors });
      });
    });
}

async function findModules(root: string, signal: AbortSignal): Promise<readonly Module[]> {
  const modules: Module[] = [];
  for (const controller of await entriesOf(root)) {
    if (!/^mc\d+$/.test(controller)) continue;
    const directory = join(root, controller);
    const entries = await entriesOf(directory);
    const dimms = entries.filter((entry) => /^(dimm|rank)\d+$/.test(entry));
    const rows = dimms.length > 0 ? [] : entries.filter((entry) => /^csrow\d+$/.test(entry));
    for (const entry of [...dimms, ...rows]) {
      const prefix = dimms.length > 0 ? "dimm_" : "";
      modules.push({
        dimm: `${controller}/${entry}`,
        corrected: join(directory, entry, `${prefix}ce_count`),
        uncorrected: join(directory, entry, `${prefix}ue_count`),
      });
    }
    if (!entries.includes("ce_noinfo_count")) continue;
    modules.push({
      dimm: `${controller}/unattributed`,
      corrected: join(directory, "ce_noinfo_count"),
      uncorrected: join(directory, "ue_noinfo_count"),
    });
  }
  return labelled(modules, await readFilesByChild(root, modules.map(labelFile), signal));
}

/** Ignores a label that two modules share: it is a placeholder of the firmware. */
function labelled(modules: readonly Module[], texts: ReadonlyMap<string, string>): readonly Module[] {
  const labels = modules.map((module) => texts.get(labelFile(module)) ?? "");
  return modules.map((module, index) => {
    const label = labels[index] ?? "";
    const isUnique = label !== "" && labels.filter((other) => other === label).length === 1;
    return isUnique ? { ...module, dimm: label } : module;
  });
}

/** For a row of chips, the label of its first channel. */
const labelFile = ({ corrected }: Module): string =>
  corrected.endsWith("dimm_ce_count")
    ? corrected.replace(/dimm_ce_count$/, "dimm_label")
    : corrected.replace(/ce_count$/, "ch0_dimm_label");
