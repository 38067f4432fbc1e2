// the agent is killed at every boundary of its journal, at every call, at random moments, and is stopped in order
import { AgentDeath } from "../support/agent-death.ts";
import { campaign } from "./campaign.ts";
import { FaultyHost } from "./host.ts";
import { Killer } from "./killer.ts";
import { Victim } from "./interrupted-vm.ts";
import { Watch } from "./watch.ts";

await campaign({ name: "kill", count: 1000 }, async (run) => {
  const death = run.keep(await AgentDeath.make());
  const host = await FaultyHost.start(run, death.agentOptions);
  const watch = new Watch(run, host);
  const killer = new Killer(host, watch, death);
  const victim = await Victim.make(run, host, watch);
  while (run.tries < run.count) {
    run.tries += 1;
    await victim.suffer(killer);
  }
  await victim.clear();
  run.demand((await host.witness.volumes()).length === 0, "volumes remain without VMs");
  return { deaths: killer.deaths, boundaries: killer.boundaries };
});
