// 8 concurrent schedulers reserve, renew, release and create while the agent is killed: no capacity is given twice
import { totalmem } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { campaign } from "./campaign.ts";
import { FaultyHost, mutation } from "./host.ts";
import { OverbookWatch } from "./overbook-watch.ts";
import { GrantedReservations } from "./granted-reservations.ts";
import { Scheduler } from "./scheduler.ts";
import { isSame } from "./witness.ts";

const SCHEDULERS = 8;
const TRIES_PER_LIFE = 80;
const MIB = 2 ** 20;
/** Little capacity, so that the schedulers compete. */
const FOR_SALE_MIB = 1280;

await campaign({ name: "overbook", count: 10_000 }, async (run) => {
  const host = await FaultyHost.start(run, {
    config: {
      host: {
        reservedMemoryMiB: Math.floor(totalmem() / MIB) - FOR_SALE_MIB,
        memoryOvercommitRatio: 1,
        cpuOvercommitRatio: 9,
        dedicatedCpus: "1",
      },
    },
  });
  const { vmId } = await host.succeeds(mutation("CREATE", "bystander"));
  const bystander = await host.witness.process(vmId);
  const grants = new GrantedReservations(run);
  const watch = run.keep(new OverbookWatch(run, host, grants));
  const schedulers = Array.from(
    { length: SCHEDULERS },
    (_, index) => new Scheduler(run, host, grants, index),
  );
  let deaths = 0;
  let next = TRIES_PER_LIFE;
  const over = new AbortController();
  const killing = (async () => {
    while (!over.signal.aborted) {
      await pause(20);
      if (run.tries < next) continue;
      next += TRIES_PER_LIFE;
      deaths += 1;
      run.log(`${run.tries}/${run.count} the agent dies`);
      await host.agent.kill();
      await host.startAgain();
      await watch.checkAfterDeath();
      run.demand(isSame(bystander, await host.witness.process(vmId)), "the bystander's process was replaced");
    }
  })();
  const working = Promise.all(schedulers.map((scheduler) => scheduler.work())).finally(() => over.abort());
  await Promise.all([working, killing]);
  await host.untilListed();
  for (const { vmId: left } of (await host.list()).vms) await host.succeeds(mutation("DELETE", left));
  await watch.checkEmpty();
  return { deaths, looks: watch.looks, ...grants.counts };
});
