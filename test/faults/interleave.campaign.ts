// random interleavings of requests, crashes, full disks, lost replies and other clients' acts: each history is checked
import { asked, campaign, type CampaignRun } from "./campaign.ts";
import { playSimulated } from "./history/simulated/players.ts";
import { playReal } from "./interleave-real.ts";

/** Simulated histories per history against a real libvirtd. */
const SIMULATED_PER_REAL = 100;

const onlySimulated = process.argv.includes("--simulated");
const onlyReal = process.argv.includes("--real");

await campaign({ name: "interleave", count: 100_000 }, async (run) => {
  const firstSeed = asked("--seed") ?? 1;
  const simulated = onlyReal ? {} : await simulate(run, firstSeed);
  const count = Math.ceil(run.count / SIMULATED_PER_REAL);
  if (onlySimulated) return { seed: firstSeed, ...simulated };
  const { played: real, msPerHistory: msPerReal, ...previous } = await playReal(run, { firstSeed, count });
  return { seed: firstSeed, ...simulated, real, msPerReal, ...previous };
});

async function simulate(
  run: CampaignRun,
  firstSeed: number,
): Promise<{ simulated: number; perMinute: number }> {
  const startMs = performance.now();
  const over = new AbortController();
  run.cleanUp(() => over.abort());
  const simulated = await playSimulated({
    firstSeed,
    count: run.count,
    shrink: true,
    signal: over.signal,
    onFinding: ({ seed, rule, message, shown }) =>
      run.violation(`simulated history of --seed ${seed}: ${shown ?? `${rule}: ${message}`}`),
    onHistories: (histories) => {
      run.tries += histories;
      run.log(`${run.tries} simulated histories`);
    },
  });
  const minutes = (performance.now() - startMs) / 60_000;
  return { simulated, perMinute: Math.round(simulated / minutes) };
}
