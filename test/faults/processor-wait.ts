import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";

/**
 * The time that the main threads of these processes waited for a processor, in ms since their start (schedstat of proc(5),
 * second field). A latency without this time is the program's own, however busy the machine is. An ended process counts 0.
 */
export function processorWaitMs(...pids: readonly number[]): number {
  let ms = 0;
  for (const pid of pids) {
    try {
      ms += waitedMs(readFileSync(`/proc/${pid}/schedstat`, "latin1"));
    } catch {
      // The process has ended.
    }
  }
  return ms;
}

/** The same for all their threads. */
export async function allProcessorWaitMs(pids: readonly number[]): Promise<number> {
  const each = await Promise.all(
    pids.map(async (pid) => {
      const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
      return await Promise.all(
        threads.map(async (thread) =>
          waitedMs(await readFile(`/proc/${pid}/task/${thread}/schedstat`, "latin1").catch(() => "")),
        ),
      );
    }),
  );
  return each.flat().reduce((sum, ms) => sum + ms, 0);
}

const waitedMs = (schedstat: string): number => Number(schedstat.split(" ")[1] ?? 0) / 1e6;
