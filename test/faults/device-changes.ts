import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AgentDeath } from "../support/agent-death.ts";
import type { CampaignRun } from "./campaign.ts";
import { DeviceVictim, isNicChange, type Change, type Guest } from "./device-victim.ts";
import { FaultyHost, mutation } from "./host.ts";
import { Killer } from "./killer.ts";
import { Watch } from "./watch.ts";
import { isSame } from "./witness.ts";

/**
 * A disk's life, and that of a NIC beside it. A guest that keeps its devices takes 15 s to refuse each detachment: it suffers every
 * fifth life, and has no NIC. Only a guest that runs with drivers grows.
 */
export const lifeOfADisk: readonly Change[] = [
  "ATTACH",
  "RESIZE",
  "LIMIT",
  "INSERT",
  "MOVE",
  "GROW",
  "UPDATE",
  "PLUG",
  "LINK",
  "UNPLUG",
  "DETACH",
];
const everyGuest: readonly Guest[] = ["off", "runs", "off", "runs", "keeps"];

interface Play {
  /** By default this tree's. */
  readonly bundle?: string;
  readonly guests?: readonly Guest[];
  readonly life?: readonly Change[];
}

/** Plays `run.count` changes against an agent. Returns figures. */
export async function sufferChanges(
  run: CampaignRun,
  { bundle, guests = everyGuest, life = lifeOfADisk }: Play = {},
): Promise<Readonly<Record<string, unknown>>> {
  const death = run.keep(await AgentDeath.make());
  const host = await FaultyHost.start(run, {
    ...death.agentOptions,
    ...(bundle === undefined ? {} : { bundle }),
  });
  const other = join(host.libvirtd.directory, "other");
  await mkdir(other, { mode: 0o755 });
  await host.witness.virsh("pool-create-as", "other", "dir", "--target", other);
  await startIsolated(run, host);
  await host.untilListed();
  const watch = new Watch(run, host);
  const killer = new Killer(host, watch, death);
  const victims = new Map<Guest, DeviceVictim>();
  const { vmId } = await host.succeeds(mutation("CREATE", "bystander"));
  const bystander = await host.witness.process(vmId);
  watch.mustLive(vmId);
  const foreign = join(host.libvirtd.imagesDirectory, "foreign.raw");
  await writeFile(foreign, Buffer.alloc(2 ** 20));
  let [meddled, undone] = [0, 0];
  /**
   * Another client gives the VM a disk at the end of the names, and takes it away. What it does between the agent's look at
   * the definition and its change of that is undone: libvirt does not compare what it replaces.
   */
  const meddle = async ({ vmId: vm }: DeviceVictim): Promise<void> => {
    meddled += 1;
    const isThere = async () => /^ *vdz /m.test(await host.witness.virsh("domblklist", vm, "--inactive"));
    const takeAway = async (): Promise<void> => {
      try {
        await host.witness.virsh("detach-disk", vm, "vdz", "--config");
      } catch (thrown) {
        if (await isThere()) throw thrown;
        undone += 1;
      }
    };
    if (await isThere()) {
      undone += 1;
      await takeAway();
    }
    await host.witness.virsh("attach-disk", vm, foreign, "vdz", "--config");
    await takeAway();
  };
  for (let step = 0; run.tries < run.count; step += 1) {
    const guest = guests[Math.floor(step / life.length) % guests.length] ?? "off";
    const change = life[step % life.length] ?? "ATTACH";
    if (guest === "keeps" && isNicChange(change)) continue;
    if (guest !== "runs" && change === "GROW") continue;
    const victim = victims.get(guest) ?? (await DeviceVictim.make(run, host, guest));
    victims.set(guest, victim);
    run.tries += 1;
    await victim.suffer(change, killer, () => (step % 3 === 0 ? meddle(victim) : Promise.resolve()));
    if (change === "DETACH" && guest === "keeps") await victim.release();
    const process = await host.witness.process(vmId);
    run.demand(isSame(bystander, process), "the bystander's process was replaced");
  }
  watch.mayEnd(vmId);
  await host.untilListed();
  for (const { vmId: left } of (await host.list()).vms) await host.succeeds(mutation("DELETE", left));
  const left = [...(await host.witness.volumes()), ...(await readdir(other))];
  run.demand(left.length === 0, "volumes remain without VMs");
  return { deaths: killer.deaths, boundaries: killer.boundaries, meddled, undone };
}

/** A network without addresses, until the end of the run. */
async function startIsolated(run: CampaignRun, { libvirtd, witness }: FaultyHost): Promise<void> {
  // Runs may be beside each other.
  const bridge = `socle${process.pid}`;
  const xml = join(libvirtd.directory, "isolated.xml");
  await writeFile(xml, `<network><name>isolated</name><bridge name="${bridge}"/></network>`);
  await witness.virsh("net-define", xml);
  await witness.virsh("net-start", "isolated");
  run.cleanUp(() => witness.virsh("net-destroy", "isolated"));
}
