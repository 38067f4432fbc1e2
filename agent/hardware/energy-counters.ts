import { join } from "node:path";
import { errorCode, readText } from "./reading.ts";
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
  const lines = await Promise.all(entries.map((entry) => readZone(root, entry)));
  return lines.filter((line) => line !== undefined).join("\n");
}

/** Undefined: it went while it was looked at. */
async function readZone(root: string, entry: string): Promise<string | undefined> {
  const files = ["name", "energy_uj", "max_energy_range_uj"].map((file) => readText(join(root, entry, file)));
  try {
    return [entry, ...(await Promise.all(files))].join("\t");
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return undefined;
    throw cause;
  }
}
