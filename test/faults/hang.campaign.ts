// one of --count guests hangs (its QEMU is stopped): the others must not be affected
import { quantile } from "../bench/statistics.ts";
import { campaign } from "./campaign.ts";
import { Crowd } from "./crowd.ts";
import { Hanging } from "./hanging.ts";
import { FaultyHost } from "./host.ts";
import { INTERVAL_MS } from "./latencies.ts";
import { LATE_TIMES, Watch } from "./watch.ts";

await campaign({ name: "hang", count: 50 }, async (run) => {
  const config = { vm: { sampleIntervalSeconds: INTERVAL_MS / 1000 } };
  const host = await FaultyHost.start(run, { config });
  const watch = new Watch(run, host);
  const crowd = await Crowd.start(run, host, watch, run.count);
  run.log(`${run.count} guests run`);
  const hanging = new Hanging(run, host, crowd);
  const usualMs = await hanging.usualMs();
  await hanging.alone();
  await hanging.thenTheAgentDies(watch);
  await hanging.thenLibvirtDies();
  await hanging.together();
  await hanging.isStopped(watch);
  await crowd.check();
  await crowd.clear();
  const figures = Object.fromEntries(
    [...hanging.timings].map(([what, all]) => {
      const p99 = quantile(
        all.map(({ ownMs }) => ownMs),
        0.99,
      );
      const usual = usualMs.get(what) ?? 0;
      run.demand(
        p99 <= LATE_TIMES * usual,
        `p99 of ${what} is ${Math.round(p99)} ms, and its median while none hangs ${usual.toFixed(1)} ms`,
      );
      return [`${what}P99Ms`, Math.round(p99 * 10) / 10];
    }),
  );
  return { guests: run.count, ...figures, oldestMs: Math.round(hanging.oldestMs), foundMs: hanging.foundMs };
});
