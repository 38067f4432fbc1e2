import { join } from "node:path";
import { readText } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { entriesOf, notHere } from "../walk.ts";

/**
 * The CPUs' energy counters (Documentation/power/powercap/powercap.rst), tab-separated lines: the zone's directory, its
 * name, its microjoules and their wrap value. Unreadable fields are empty. Only root may read the counts: rejects if no
 * zone is readable.
 */
export async function readEnergyCounters({ sysRoot }: Roots): Promise<string> {
  const root = join(sysRoot, "class/powercap");
  const entries = (await entriesOf(root)).filter((entry) => /^intel-rapl:\d+(:\d+)?$/.test(entry));
  if (entries.length === 0) throw notHere("no energy counters (RAPL)");
  const zones = await Promise.all(
    entries.map(async (entry) => {
      const files = ["name", "energy_uj", "max_energy_range_uj"].map((file) => join(root, entry, file));
      const texts = await Promise.allSettled(files.map(readText));
      const values = texts.map((text) => (text.status === "fulfilled" ? text.value : ""));
      const failed = texts.find((text) => text.status === "rejected");
      return { line: [entry, ...values].join("\t"), failed };
    }),
  );
  const failures = zones.flatMap(({ failed }) => failed ?? []);
  if (failures.length === zones.length) throw failures[0]?.reason;
  return zones.map(({ line }) => line).join("\n");
}
