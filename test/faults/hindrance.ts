import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";

/**
 * How long the main threads of these processes have been ready to run and had no processor, in ms since they began
 * (schedstat of proc(5), second field). What an answer took less what of this passed meanwhile is the program's own
 * doing, however busy the machine is. One that has ended counts nothing.
 */
export function hinderedMs(...pids: readonly number[]): number {
  let ms = 0;
  for (const pid of pids) {
    try {
      ms += waitedMs(readFileSync(`/proc/${pid}/schedstat`, "latin1"));
    } catch {
      // It has ended.
    }
  }
  return ms;
}

/** The same of all their threads. */
export async function allHinderedMs(pids: readonly number[]): Promise<number> {
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
