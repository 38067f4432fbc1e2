// the wall clock is stepped by an hour and by a day, both ways: no duration ends early, no fresh data turns stale
import { campaign } from "./campaign.ts";
import { Crowd } from "./crowd.ts";
import { FaultyHost } from "./host.ts";
import { ClockWatch } from "./clock-watch.ts";
import { SteppedClock } from "./stepped-clock.ts";
import { Watch } from "./watch.ts";
import { Scheduler } from "../scheduler/scheduler.ts";

const HOUR_MS = 3_600_000;
const steps = [HOUR_MS, -2 * HOUR_MS, HOUR_MS, 24 * HOUR_MS, -48 * HOUR_MS, 25 * HOUR_MS];
/** Some steps happen while the agent is down. */
const RESTART_EVERY = 4;
const GUESTS = 2;
/** Values older than three intervals are left out: only a clock step may cause that here, not a busy machine. */
const SAMPLE_SECONDS = 5;

await campaign({ name: "clock", count: 24 }, async (run) => {
  const scheduler = await Scheduler.start({ heartbeatMs: 500, reconnectSpreadMs: 100 });
  run.cleanUp(() => scheduler.stop());
  const clock = await SteppedClock.make(run);
  const host = await FaultyHost.start(run, {
    ...clock.agentOptions,
    config: { scheduler: { address: scheduler.address }, vm: { sampleIntervalSeconds: SAMPLE_SECONDS } },
  });
  const watch = new Watch(run, host);
  const crowd = await Crowd.start(run, host, watch, GUESTS);
  const lasting = await ClockWatch.start(run, host, scheduler, crowd);
  while (run.tries < run.count) {
    const stepMs = steps[run.tries % steps.length] ?? HOUR_MS;
    run.tries += 1;
    const before = run.violations.length;
    const isRestart = run.tries % RESTART_EVERY === 0;
    run.log(`${run.tries}/${run.count} ${stepMs / HOUR_MS} h${isRestart ? " while the agent is down" : ""}`);
    if (isRestart) {
      watch.agentIsUp(false);
      await host.agent.kill();
      await clock.stepWhileDown(stepMs);
      await host.startAgain();
      watch.agentIsUp(true);
      await lasting.afterRestart();
    } else {
      await lasting.during(() => clock.step(host.agent, stepMs));
    }
    await crowd.check();
    for (let at = before; at < run.violations.length; at += 1)
      run.violations[at] = `${stepMs / HOUR_MS} h: ${run.violations[at]}`;
  }
  await lasting.end();
  await crowd.clear();
  return { guests: GUESTS, restarts: Math.floor(run.count / RESTART_EVERY), looks: lasting.looks };
});
