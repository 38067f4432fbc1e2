import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { CampaignRun } from "./campaign.ts";
import { describe } from "./history/checker.ts";
import { toLines } from "./history/history.ts";
import { previousFigures, previousRelease, previousStartsIn } from "./history/real/previous-release.ts";
import { realScheduleOf, RealStage } from "./history/real/real-stage.ts";
import type { Schedule } from "./history/simulated/schedule.ts";
import { shrink, type Played, type Shrinking } from "./history/simulated/shrink.ts";

/** Each has its own libvirtd, since one agent leases one. More than cores, since a history mostly waits. */
const STAGES = 3 * availableParallelism();
/** The number of printed lines before and after a violation's event; the file has all lines. */
const AROUND = 60;
/** The number of attempts to shorten a history with a violation. */
const SHRINKING_PLAYS = 24;
/** The directory for complete histories with a violation. Not in the repository. */
const histories = join(import.meta.dirname, "../../.cache/histories");

export interface RealFigures extends ReturnType<typeof previousFigures> {
  readonly played: number;
  readonly msPerHistory: number;
}

/** Plays `count` schedules from `firstSeed` on against the real agent, libvirtd and QEMU, and checks each history. */
export async function playReal(
  run: CampaignRun,
  { firstSeed, count }: { readonly firstSeed: number; readonly count: number },
): Promise<RealFigures> {
  const previous = await previousRelease(run);
  const bundles = { bundle: await run.bundle(), previous: previous.bundle };
  const stages = await Promise.all(
    Array.from({ length: Math.min(STAGES, count) }, () => RealStage.open(run)),
  );
  const beganMs = performance.now();
  let next = firstSeed;
  let previousStarts = 0;
  await Promise.all(
    stages.map(async (stage) => {
      while (next < firstSeed + count) {
        const seed = (next += 1) - 1;
        const seedBeganMs = performance.now();
        const schedule = realScheduleOf(seed);
        const played = await stage.play(schedule, bundles);
        run.tries += 1;
        previousStarts += previousStartsIn(played.history);
        const ms = Math.round(performance.now() - seedBeganMs);
        run.log(`real history ${seed}: ${played.history.length} events, ${ms} ms`);
        await report(run, schedule, played, (shorter) => stage.play(shorter, bundles));
      }
    }),
  );
  const msPerHistory = Math.round((performance.now() - beganMs) / count);
  const figures = previousFigures(previousStarts, previous);
  const { noPreviousBecause: why } = figures;
  run.log(
    why === undefined
      ? `the previous release was started ${previousStarts} times`
      : `the previous release was never started: ${why}`,
  );
  return { played: count, msPerHistory, ...figures };
}

async function report(
  run: CampaignRun,
  schedule: Schedule,
  { history, violations }: Played,
  play: Shrinking["play"],
): Promise<void> {
  if (violations.length === 0) return;
  const { seed } = schedule;
  const file = join(histories, `real-${seed}.jsonl`);
  await mkdir(histories, { recursive: true });
  await writeFile(file, toLines(history));
  for (const rule of new Set(violations.map((violation) => violation.rule))) {
    // Timing differs between runs: a violation that does not recur is printed as first seen.
    const shrunk = await shrink(schedule, rule, { play, mostPlays: SHRINKING_PLAYS });
    const shown =
      shrunk === undefined
        ? violations
            .filter((violation) => violation.rule === rule)
            .map((violation) => describe(history, violation, AROUND))
            .join("\n")
        : `with the ${shrunk.schedule.actions.length} of its ${schedule.actions.length} actions that show it: ` +
          describe(shrunk.history, shrunk.violation, AROUND);
    run.violation(`real history of --seed ${seed} (${file}): ${shown}`);
  }
}
