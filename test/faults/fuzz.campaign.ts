// random inputs for every parser and service: frames, gRPC, XML, specs, configuration, journal, scheduler
import { randomInt } from "node:crypto";
import { readFile, mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { once } from "node:events";
import { spawnBound } from "../support/bound-child.ts";
import { program } from "../support/programs.ts";
import { asked, campaign, type CampaignRun } from "./campaign.ts";

const HEAP_MIB = 512;
/** The processor time without an end of the current input. */
const HANGS_AFTER_MS = 60_000;
const LOOK_EVERY_MS = 5000;
const TICKS_PER_SECOND = 100;
const MOST_DEATHS = 20;

interface Line {
  readonly violation?: string;
  readonly at?: number;
  readonly done?: boolean;
  readonly fed?: Readonly<Record<string, number>>;
  readonly built?: number;
  readonly grownBytes?: number;
}

await campaign({ name: "fuzz", count: 1_000_000 }, async (run) => {
  const seed = asked("--seed") ?? randomInt(2 ** 31);
  const workers = Math.min(availableParallelism(), 4);
  run.log(`seed ${seed}, ${run.count} inputs, ${workers} processes`);
  const directory = await mkdtemp(join(tmpdir(), "socle-fuzz-"));
  run.cleanUp(() => rm(directory, { recursive: true, force: true }));
  const ends = await Promise.all(
    Array.from({ length: workers }, (_, first) => feedAll(run, { seed, first, step: workers, directory })),
  );
  const fed: Record<string, number> = {};
  for (const end of ends.flat())
    for (const [target, count] of Object.entries(end.fed ?? {})) fed[target] = (fed[target] ?? 0) + count;
  run.tries = Object.values(fed).reduce((sum, count) => sum + count, 0);
  const built = ends.flat().reduce((sum, end) => sum + (end.built ?? 0), 0);
  const grownMiB = Math.max(...ends.flat().map(({ grownBytes = 0 }) => grownBytes / 2 ** 20));
  return { seed, fed, built, heapGrownMiB: Math.round(grownMiB * 10) / 10 };
});

/** Every `step`th input in one process; after its death a new process continues behind the input. */
async function feedAll(
  run: CampaignRun,
  { seed, first, step, directory }: { seed: number; first: number; step: number; directory: string },
): Promise<Line[]> {
  const mark = join(directory, `mark-${first}`);
  const ends: Line[] = [];
  for (let from = first, deaths = 0; from < run.count; deaths += 1) {
    if (deaths > MOST_DEATHS) throw new Error("it dies again and again");
    const end = await feed(run, [seed, from, run.count, step], mark);
    if (end.done === true) return [...ends, end];
    const at = Number((await readFile(mark, "utf8").catch(() => "")).split(" ")[0] ?? from);
    run.violation(`input ${at} of seed ${seed} ended the process, which hung or died`);
    ends.push(end);
    from = at + step;
  }
  return ends;
}

async function feed(run: CampaignRun, numbers: readonly number[], mark: string): Promise<Line> {
  const worker = program("test/faults/fuzz-worker.ts");
  const node = ["--expose-gc", `--max-old-space-size=${HEAP_MIB}`, ...worker];
  const child = spawnBound(process.execPath, [...node, ...numbers.map(String), mark]);
  run.cleanUp(() => child.kill("SIGKILL"));
  let last: Line = {};
  createInterface(child.stdout).on("line", (text) => {
    const line = JSON.parse(text) as Line;
    if (line.violation !== undefined) run.violation(line.violation);
    else if (line.at !== undefined) run.log(`input ${line.at} of ${run.count}`);
    else last = line;
  });
  let words = "";
  child.stderr.on("data", (chunk: Buffer) => (words = (words + chunk.toString()).slice(-4000)));
  const watching = watch(child.pid ?? 0, mark, () => child.kill("SIGKILL"));
  await once(child, "close");
  clearInterval(watching);
  if (last.done !== true && words !== "") run.log(words);
  return last;
}

/** Calls `hung` when one input has used up its processor time. */
function watch(pid: number, mark: string, hung: () => void): NodeJS.Timeout {
  let at = "";
  let sinceMs = 0;
  return setInterval(() => {
    void Promise.all([readFile(mark, "utf8"), readFile(`/proc/${pid}/stat`, "latin1")]).then(
      ([now, stat]) => {
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        const usedMs = ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
        if (now !== at) [at, sinceMs] = [now, usedMs];
        else if (usedMs - sinceMs > HANGS_AFTER_MS) hung();
      },
      () => undefined,
    );
  }, LOOK_EVERY_MS);
}
