import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadContract } from "../../agent/cli/contract.ts";
import { protoDirectory } from "../lab/socle-host.ts";
import { installTrust } from "../scheduler/authority.ts";
import type { CampaignRun } from "./campaign.ts";
import { check, describe } from "./history/checker.ts";
import { previousRelease } from "./history/real/previous-release.ts";
import { Certificates } from "./history/real/real-agent.ts";
import type { Lane } from "./history/real/lane.ts";
import { RealHistory, type Played } from "./history/real/real-history.ts";
import { RealHost } from "./history/real/real-host.ts";
import { scheduleOf } from "./history/simulated/schedule.ts";
import { SteppedClock } from "./stepped-clock.ts";

/** Each has a libvirtd of its own: an agent wants one to itself. */
const LANES = 2;

/** Plays `count` schedules from `firstSeed` on against the real agent, libvirtd and QEMU, and checks each history. */
export async function playReal(
  run: CampaignRun,
  { firstSeed, count }: { readonly firstSeed: number; readonly count: number },
): Promise<{ readonly played: number }> {
  const built = { bundle: await run.bundle(), previous: await previousRelease(run) };
  let next = firstSeed;
  let played = 0;
  const lanes = Array.from({ length: Math.min(LANES, count) }, async () => {
    const lane = await laneOf(run, built);
    while (next < firstSeed + count) {
      const seed = (next += 1) - 1;
      const beganMs = performance.now();
      const result = await new RealHistory(lane, scheduleOf(seed)).play();
      played += 1;
      judge(run, seed, result);
      run.say(
        `real history ${seed}: ${result.history.length} events, ${Math.round(performance.now() - beganMs)} ms`,
      );
    }
  });
  await Promise.all(lanes);
  return { played };
}

function judge(run: CampaignRun, seed: number, { history, failures }: Played): void {
  if (process.env["DUMP"] !== undefined)
    for (const violation of [...failures, ...check(history)])
      run.violation(`real history of --seed ${seed}: ${describe(history, violation)}`);
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
