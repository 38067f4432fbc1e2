import { join } from "node:path";
import { readText } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { entriesOf, notHere } from "../walk.ts";

/**
 * The CPUs' energy counters (Documentation/power/powercap/powercap.rst), a line each: the zone's directory, its name, its
 * microjoules and where they wrap, with tabs between. What one does not tell now, or because it went, is empty. The counts
 * are root's alone to read: rejects where none of them is told.
 */
export async function readEnergyCounters({ sysRoot }: Roots): Promise<string> {
  const root = join(sysRoot, "class/powercap");
  const entries = (await entriesOf(root)).filter((entry) => /^intel-rapl:\d+(:\d+)?$/.test(entry));
  if (entries.length === 0) throw notHere("no energy counters (RAPL)");
  const zones = await Promise.all(
    entries.map(async (entry) => {
      const files = ["name", "energy_uj", "max_energy_range_uj"].map((file) => join(root, entry, file));
      const texts = await Promise.allSettled(files.map(readText));
      const told = texts.map((text) => (text.status === "fulfilled" ? text.value : ""));
      const failed = texts.find((text) => text.status === "rejected");
      return { line: [entry, ...told].join("\t"), failed };
    }),
  );
  const failures = zones.flatMap(({ failed }) => failed ?? []);
  if (failures.length === zones.length) throw failures[0]?.reason;
  return zones.map(({ line }) => line).join("\n");
}
