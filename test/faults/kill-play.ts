import { AgentDeath } from "../support/agent-death.ts";
import type { CampaignRun } from "./campaign.ts";
import { FaultyHost } from "./host.ts";
import { lifeOfAVm, Victim } from "./interrupted-vm.ts";
import { lifeOfAVolume, VolumeVictim } from "./interrupted-volume.ts";
import { Killer } from "./killer.ts";
import { Watch } from "./watch.ts";

/** The deaths in which each operation has one. */
export const wholeLives = lifeOfAVm.length + lifeOfAVolume.length;

/** Plays `run.count` deaths of the agent of `bundle`, by default this tree's. Returns figures. */
export async function sufferDeaths(
  run: CampaignRun,
  bundle?: string,
): Promise<Readonly<Record<string, unknown>>> {
  const death = run.keep(await AgentDeath.make());
  const host = await FaultyHost.start(run, {
    ...death.agentOptions,
    ...(bundle === undefined ? {} : { bundle }),
  });
  const watch = new Watch(run, host);
  const killer = new Killer(host, watch, death);
  const victim = await Victim.make(run, host, watch);
  const volume = new VolumeVictim(run, host);
  while (run.tries < run.count) {
    const isOfVm = run.tries % wholeLives < lifeOfAVm.length;
    run.tries += 1;
    await (isOfVm ? victim : volume).suffer(killer);
  }
  await victim.clear();
  await volume.clear();
  run.demand((await host.witness.volumes()).length === 0, "volumes remain without VMs");
  return { deaths: killer.deaths, boundaries: killer.boundaries };
}
