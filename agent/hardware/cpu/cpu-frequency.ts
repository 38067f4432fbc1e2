import { join } from "node:path";
import { parseNumberList, parseWhole, readText, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { notHere } from "../walk.ts";

/** Current frequency of the host's CPUs. */
interface CpuFrequency {
  readonly lowestHertz: number;
  readonly averageHertz: number;
  readonly highestHertz: number;
}

/** Of all online CPUs; unsupported if the kernel does not control the frequency, as in a guest. */
export function readCpuFrequency({ sysRoot }: Roots): Promise<Reading<CpuFrequency>> {
  const directory = join(sysRoot, "devices/system/cpu");
  return reading(`${directory}/*/cpufreq`, async () => {
    const hertz: number[] = [];
    // Sequential: each read may interrupt the CPU itself.
    for (const cpu of parseNumberList(await readText(join(directory, "online")), "cpu/online")) {
      const kiloHertz = await readTextIfThere(join(directory, `cpu${cpu}`, "cpufreq/scaling_cur_freq"));
      if (kiloHertz !== undefined) hertz.push(parseWhole(kiloHertz, `cpu${cpu} scaling_cur_freq`) * 1000);
    }
    if (hertz.length === 0) throw notHere("no CPU reports its frequency");
    return {
      lowestHertz: Math.min(...hertz),
      averageHertz: hertz.reduce((sum, each) => sum + each, 0) / hertz.length,
      highestHertz: Math.max(...hertz),
    };
  });
}
