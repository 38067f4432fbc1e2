import { join } from "node:path";
import { parseWhole, readTextIfThere, reading, type Reading } from "./reading.ts";
import type { Roots } from "./roots.ts";
import { entriesOf, notHere } from "./walk.ts";

/** How fast the host's CPUs are now. */
export interface CpuFrequency {
  readonly lowestHertz: number;
  readonly averageHertz: number;
  readonly highestHertz: number;
}

/** Of all CPUs that are online; unsupported where the kernel does not set their frequency, as in a guest. */
export function readCpuFrequency({ sysRoot }: Roots): Promise<Reading<CpuFrequency>> {
  const directory = join(sysRoot, "devices/system/cpu");
  return reading(`${directory}/*/cpufreq`, async () => {
    const hertz: number[] = [];
    // One after the other: each may ask the CPU itself.
    for (const cpu of await entriesOf(directory)) {
      if (!/^cpu\d+$/.test(cpu)) continue;
      const kiloHertz = await readTextIfThere(join(directory, cpu, "cpufreq/scaling_cur_freq"));
      if (kiloHertz !== undefined) hertz.push(parseWhole(kiloHertz, `${cpu} scaling_cur_freq`) * 1000);
    }
    if (hertz.length === 0) throw notHere("no CPU tells its frequency");
    return {
      lowestHertz: Math.min(...hertz),
      averageHertz: hertz.reduce((sum, each) => sum + each, 0) / hertz.length,
      highestHertz: Math.max(...hertz),
    };
  });
}
