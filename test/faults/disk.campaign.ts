// the state disk is full, read-only or slow, its files are cut or have flipped bits: no acknowledged operation is lost
import { campaign } from "./campaign.ts";
import { Crowd } from "./crowd.ts";
import { DiskTrouble } from "./disk-trouble.ts";
import { FaultyHost } from "./host.ts";
import { StateDisk } from "./state-disk.ts";
import { Watch } from "./watch.ts";

const GUESTS = 2;

await campaign({ name: "disk", count: 200 }, async (run) => {
  const disk = await StateDisk.make(run);
  const host = await FaultyHost.start(run, {
    ...disk.agentOptions,
    config: { state: { directory: disk.stateDirectory } },
  });
  const watch = new Watch(run, host);
  const crowd = await Crowd.start(run, host, watch, GUESTS);
  const trouble = await DiskTrouble.make(run, { host, disk, watch });
  while (run.tries < run.count) {
    run.tries += 1;
    const before = run.violations.length;
    const what = await trouble.make(run.tries - 1);
    await host.untilListed();
    await crowd.check();
    for (let at = before; at < run.violations.length; at += 1)
      run.violations[at] = `${what}: ${run.violations[at]}`;
  }
  await crowd.clear();
  const { counts, cuts, flips, compaction } = trouble;
  return { guests: GUESTS, troubles: counts, cuts, flips, deaths: compaction.deaths };
});
