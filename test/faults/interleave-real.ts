import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadContract } from "../../agent/cli/contract.ts";
import { protoDirectory } from "../lab/socle-host.ts";
import { installTrust } from "../scheduler/authority.ts";
import type { CampaignRun } from "./campaign.ts";
import { check, describe, type Violation } from "./history/checker.ts";
import { toLines, type History } from "./history/history.ts";
import { previousRelease } from "./history/real/previous-release.ts";
import { Certificates } from "./history/real/real-agent.ts";
import type { Lane } from "./history/real/lane.ts";
import { RealHistory } from "./history/real/real-history.ts";
import { RealHost } from "./history/real/real-host.ts";
import { scheduleOf } from "./history/simulated/schedule.ts";
import { SteppedClock } from "./stepped-clock.ts";

/** Each has a libvirtd of its own: an agent wants one to itself. */
const LANES = 2;
/** Lines that are printed before a violation's event and behind it: the file has them all. */
const AROUND = 60;
/** Of a history that breaks a rule, whole, for people. Not in the repository. */
const histories = join(import.meta.dirname, "../../.cache/histories");

export interface RealPlay {
  readonly firstSeed: number;
  readonly count: number;
  /** Of the agent; absent: it is built from this repository. */
  readonly bundle?: string;
  /** Absent: every violation is the run's. Returns true to play no more. */
  readonly judged?: (seed: number, violations: readonly Violation[]) => boolean;
}

/** Plays `count` schedules from `firstSeed` on against the real agent, libvirtd and QEMU, and checks each history. */
export async function playReal(
  run: CampaignRun,
  { firstSeed, count, bundle, judged }: RealPlay,
): Promise<{ readonly played: number; readonly msPerHistory: number }> {
  const built = { bundle: bundle ?? (await run.bundle()), previous: await previousRelease(run) };
  let next = firstSeed;
  let played = 0;
  let isOver = false;
  const lanesMs = await Promise.all(
    Array.from({ length: Math.min(LANES, count) }, async () => {
      const lane = await laneOf(run, built);
      const laneBeganMs = performance.now();
      while (next < firstSeed + count && !isOver) {
        const seed = (next += 1) - 1;
        const beganMs = performance.now();
        const { history, failures } = await new RealHistory(lane, scheduleOf(seed)).play();
        const violations = [...failures, ...check(history)];
        played += 1;
        run.tries += 1;
        run.say(
          `real history ${seed}: ${history.length} events, ${Math.round(performance.now() - beganMs)} ms`,
        );
        if (judged === undefined) await report(run, seed, history, violations);
        else isOver ||= judged(seed, violations);
      }
      return performance.now() - laneBeganMs;
    }),
  );
  return { played, msPerHistory: Math.round(Math.max(...lanesMs) / played) };
}

async function report(
  run: CampaignRun,
  seed: number,
  history: History,
  violations: readonly Violation[],
): Promise<void> {
  if (violations.length === 0) return;
  const file = join(histories, `real-${seed}.jsonl`);
  await mkdir(histories, { recursive: true });
  await writeFile(file, toLines(history));
  for (const violation of violations)
    run.violation(`real history of --seed ${seed} (${file}): ${describe(history, violation, AROUND)}`);
}

async function laneOf(run: CampaignRun, built: Pick<Lane, "bundle" | "previous">): Promise<Lane> {
  const trustDirectory = await mkdtemp(join(tmpdir(), "socle-interleave-trust-"));
  run.cleanUp(() => rm(trustDirectory, { recursive: true, force: true }));
  const certificates = await Certificates.make();
  const { authority, host: issued } = certificates;
  await installTrust(trustDirectory, authority, issued, await authority.revocationList());
  const [clock, contract] = [await SteppedClock.make(run), await loadContract(protoDirectory)];
  const host = await RealHost.start(run);
  return { ...built, host, clock, certificates, trustDirectory, contract };
}
