import { join } from "node:path";
import { readText, reading, type Reading } from "./reading.ts";
import type { Roots } from "./roots.ts";
import { entriesOf, notHere, numberOf } from "./walk.ts";

export interface EnergyZone {
  /** package-0, package-0/dram, psys. */
  readonly zone: string;
  /** Since the agent's first look at it, over all wraps of the counter. */
  readonly joules: number;
}

interface Counter {
  readonly microjoules: number;
  readonly joules: number;
}

/**
 * The CPUs' own count of the energy they used (Documentation/power/powercap/powercap.rst). The counter wraps within
 * minutes to hours: it must be read more often than that.
 */
export function energyReader({ sysRoot }: Roots): () => Promise<Reading<readonly EnergyZone[]>> {
  const root = join(sysRoot, "class/powercap");
  const counters = new Map<string, Counter>();
  return () =>
    reading(root, async () => {
      const zones: EnergyZone[] = [];
      const entries = (await entriesOf(root)).filter((entry) => /^intel-rapl:\d+(:\d+)?$/.test(entry));
      if (entries.length === 0) throw notHere("no energy counters (RAPL)");
      const names = new Map<string, string>();
      for (const entry of entries) {
        const name = await readText(join(root, entry, "name"));
        names.set(entry, name);
        const parent = names.get(entry.replace(/^(intel-rapl:\d+):\d+$/, "$1"));
        const zone = parent === undefined || parent === name ? name : `${parent}/${name}`;
        const microjoules = numberOf(await readText(join(root, entry, "energy_uj")));
        const range = numberOf(await readText(join(root, entry, "max_energy_range_uj")));
        if (microjoules === undefined || range === undefined) continue;
        const counter = advance(counters.get(entry), microjoules, range);
        counters.set(entry, counter);
        zones.push({ zone, joules: counter.joules });
      }
      return zones;
    });
}

function advance(before: Counter | undefined, microjoules: number, rangeMicrojoules: number): Counter {
  if (before === undefined) return { microjoules, joules: 0 };
  const used = microjoules - before.microjoules;
  const unwrapped = used >= 0 ? used : used + rangeMicrojoules;
  return { microjoules, joules: before.joules + unwrapped / 1e6 };
}
