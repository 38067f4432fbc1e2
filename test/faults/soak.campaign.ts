// mixed load and faults on 30 guests for --count seconds (1800): memory, descriptors and timers must not grow
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { campaign } from "./campaign.ts";
import { Crowd } from "./crowd.ts";
import { Follower } from "./follower.ts";
import { FaultyHost } from "./host.ts";
import { SoakWork } from "./soak-work.ts";
import { Vitals } from "./vitals.ts";
import { Watch } from "./watch.ts";

const GUESTS = { few: 6, many: 30 } as const;
const SHORT_SECONDS = 300;
const MARKS = 90;
const GROWTH_PERCENT = 10;

await campaign({ name: "soak", count: 1800 }, async (run) => {
  const path = join(tmpdir(), `socle-vitals-${process.pid}`);
  run.cleanUp(() => rm(path, { force: true }));
  const host = await FaultyHost.start(run, {
    config: { libvirt: { callTimeoutSeconds: 5 }, vm: { sampleIntervalSeconds: 2 } },
    environment: { SOCLE_VITALS: path },
    nodeOptions: Vitals.nodeOptions,
  });
  const { pid } = host.agent;
  const watch = new Watch(run, host);
  const guests = run.count < SHORT_SECONDS ? GUESTS.few : GUESTS.many;
  const crowd = await Crowd.start(run, host, watch, guests);
  const follower = run.keep(new Follower(run, host));
  const vitals = new Vitals(run, host.agent, path);
  const work = async (ms: number, whatNow: () => Promise<unknown>): Promise<Record<string, number>> => {
    const working = new SoakWork(run, host, crowd.guests);
    const endMs = performance.now() + ms;
    while (performance.now() < endMs) {
      await pause(Math.min((run.count * 1000) / MARKS, endMs - performance.now()));
      run.tries = Math.min(run.count, Math.round((performance.now() - startMs) / 1000));
      await whatNow();
    }
    await working.stop();
    return working.counts;
  };
  const startMs = performance.now();
  run.log(`${guests} guests run`);
  // One-time allocations at first use are not leaks.
  await work(run.count * 100, () => Promise.resolve());
  const before = await vitals.atRest();
  const counts = await work(run.count * 900, () => vitals.mark());
  run.tries = run.count;
  await vitals.mustNotExceed(before);
  await follower.check(await host.witness.states());
  await crowd.check();
  const { growth } = vitals;
  run.demand(
    growth.percent <= GROWTH_PERCENT,
    `memory grew by ${growth.percent} %: ${JSON.stringify(growth)}`,
  );
  run.demand(host.agent.pid === pid, "the agent restarted");
  await crowd.clear();
  run.demand((await host.witness.volumes()).length === 0, "volumes remain without VMs");
  return {
    guests,
    ...counts,
    rssMiB: growth.toMiB,
    rssGrowthPercent: growth.percent,
    held: Object.fromEntries(before),
  };
});
