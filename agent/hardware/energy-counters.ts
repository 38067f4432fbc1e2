import { join } from "node:path";
import { readText } from "./reading.ts";
import type { Roots } from "./roots.ts";
import { entriesOf, notHere } from "./walk.ts";

/**
 * The CPUs' energy counters (Documentation/power/powercap/powercap.rst), a line each: the zone's directory, its name, its
 * microjoules and where they wrap, with tabs between. The counts are root's alone to read.
 */
export async function readEnergyCounters({ sysRoot }: Roots): Promise<string> {
  const root = join(sysRoot, "class/powercap");
  const entries = (await entriesOf(root)).filter((entry) => /^intel-rapl:\d+(:\d+)?$/.test(entry));
  if (entries.length === 0) throw notHere("no energy counters (RAPL)");
  const lines = entries.map(async (entry) => {
    const files = ["name", "energy_uj", "max_energy_range_uj"].map((file) =>
      readText(join(root, entry, file)),
    );
    return [entry, ...(await Promise.all(files))].join("\t");
  });
  return (await Promise.all(lines)).join("\n");
}
