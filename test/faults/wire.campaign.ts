// every fault of the wire on every procedure of the main paths
import { campaign } from "./campaign.ts";
import { FaultyHost } from "./host.ts";
import { Watch } from "./watch.ts";
import { spread, describeTry, wirePlan } from "./wire-plan.ts";
import { Stage } from "./wire-stage.ts";

await campaign({ name: "wire", count: wirePlan.length }, async (run) => {
  const host = await FaultyHost.start(run, { config: { libvirt: { callTimeoutSeconds: 1 } } });
  const watch = new Watch(run, host);
  const stage = await Stage.make(run, host, watch);
  const { pid } = host.agent;
  let idle = 0;
  for (const each of spread(wirePlan, run.count)) {
    run.tries += 1;
    run.log(`${run.tries}/${run.count} ${describeTry(each)}`);
    const violations = run.violations.length;
    if (!(await stage.play(each))) idle += 1;
    for (let at = violations; at < run.violations.length; at += 1)
      run.violations[at] = `${describeTry(each)}: ${run.violations[at]}`;
    if (run.violations.length > violations) await stage.rebuild();
    if (host.agent.pid !== pid) throw new Error("the agent restarted");
  }
  await stage.clear();
  run.demand((await host.witness.volumes()).length === 0, "volumes remain without VMs");
  const { statistics } = host.proxy;
  run.demand(statistics.mostInFlight <= 4, `${statistics.mostInFlight} calls in flight on one connection`);
  watch.latenciesMs.sort((a, b) => a - b);
  const p99 = watch.latenciesMs[Math.floor(watch.latenciesMs.length * 0.99)] ?? 0;
  return { idle, faults: statistics.faults, listP99Ms: Math.round(p99 * 10) / 10 };
});
