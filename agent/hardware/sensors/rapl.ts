import { join } from "node:path";
import { Privileged } from "../privileged/privileged.ts";
import { reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { numberOf, unique } from "../walk.ts";

interface EnergyZone {
  /** package-0, package-0/dram, psys. */
  readonly zone: string;
  /** Since the agent's first read, across counter wraps. */
  readonly joules: number;
}

/** Includes the start of the helper. */
const LOOK_TIMEOUT_MS = 10_000;

interface Counter {
  readonly microjoules: number;
  readonly joules: number;
}

/**
 * Energy use from the CPUs' own counters (RAPL). They wrap within minutes to hours and must be read more often.
 */
export function energyReader(roots: Roots): (signal: AbortSignal) => Promise<Reading<readonly EnergyZone[]>> {
  const privileged = new Privileged(roots);
  const counters = new Map<string, Counter>();
  const read = async (signal: AbortSignal): Promise<EnergyZone[]> => {
    const zones: EnergyZone[] = [];
    const names = new Map<string, string>();
    const taken = new Set<string>();
    for (const line of (await privileged.ask("energy", signal).output).stdout.split("\n")) {
      const [entry = "", name = "", ...numbers] = line.split("\t");
      names.set(entry, name);
      const parent = names.get(entry.replace(/^(intel-rapl:\d+):\d+$/, "$1"));
      // Older kernels report the platform zone psys in each socket.
      const zone = unique(taken, parent === undefined || parent === name ? name : `${parent}/${name}`);
      const [microjoules, range] = numbers.map(numberOf);
      if (name === "" || microjoules === undefined || range === undefined) continue;
      const counter = advance(counters.get(entry), microjoules, range);
      counters.set(entry, counter);
      zones.push({ zone, joules: counter.joules });
    }
    return zones;
  };
  return (signal) => reading(join(roots.sysRoot, "class/powercap"), () => read(signal), LOOK_TIMEOUT_MS);
}

function advance(before: Counter | undefined, microjoules: number, rangeMicrojoules: number): Counter {
  if (before === undefined) return { microjoules, joules: 0 };
  const used = microjoules - before.microjoules;
  const unwrapped = used >= 0 ? used : used + rangeMicrojoules;
  return { microjoules, joules: before.joules + unwrapped / 1e6 };
}
