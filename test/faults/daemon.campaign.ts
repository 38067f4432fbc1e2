// libvirtd is stopped, killed and frozen under load: guests run on, and no client sees a false state
import { campaign } from "./campaign.ts";
import { Crowd } from "./crowd.ts";
import { DaemonTrouble } from "./daemon-trouble.ts";
import { Follower } from "./follower.ts";
import { FaultyHost } from "./host.ts";
import { Load } from "./load.ts";
import { Watch } from "./watch.ts";

const GUESTS = 4;

await campaign({ name: "daemon", count: 50 }, async (run) => {
  const host = await FaultyHost.start(run, { config: { libvirt: { callTimeoutSeconds: 10 } } });
  const watch = new Watch(run, host);
  const crowd = await Crowd.start(run, host, watch, GUESTS);
  const follower = run.keep(new Follower(run, host));
  const load = run.keep(await Load.start(run, host));
  const trouble = await DaemonTrouble.make(run, host);
  while (run.tries < run.count) {
    run.tries += 1;
    const before = run.violations.length;
    const what = await trouble.make();
    await host.untilListed();
    await load.settle();
    await follower.check(await host.witness.states());
    await crowd.check();
    load.goOn();
    for (let at = before; at < run.violations.length; at += 1)
      run.violations[at] = `${what}: ${run.violations[at]}`;
  }
  await load.stop();
  await crowd.clear();
  const { operations } = load;
  return { guests: GUESTS, operations, troubles: trouble.counts, slowestSightMs: trouble.slowestSightMs };
});
