import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { restoreDisk } from "../integration/restore-stage.ts";
import { AgentDeath } from "../support/agent-death.ts";
import { mountInMemory } from "../support/small-disk.ts";
import { eventually } from "../support/wait.ts";
import type { CampaignRun } from "./campaign.ts";
import { DISK_BYTES } from "./chain-content.ts";
import { chainFaults, ChainStrikes, type ChainFault } from "./chain-faults.ts";
import { SealedVictim } from "./chain-sealed.ts";
import { ChainVictim, lifeOfAChain } from "./chain-victim.ts";
import { FaultyHost, mutation } from "./host.ts";
import { Killer } from "./killer.ts";
import { Watch } from "./watch.ts";
import { isSame } from "./witness.ts";

const MIB = 2 ** 20;
const END_WITHIN_MS = 180_000;
/** The agent abandons backups in a pool with less than 512 MiB. */
const POOL_MIB = 640;
/** The encrypted disk has a round among so many steps of each other disk, after `SEALED_FROM` of them. */
const SEALED_EVERY = 10;
const SEALED_FROM = 2;

interface ChainOptions {
  /** By default this tree's. */
  readonly bundle?: string;
  readonly faults?: readonly ChainFault[];
  readonly vms?: readonly ChainVictim["name"][];
  /** What a fault left is removed by then. */
  readonly settledWithinMs?: number;
}

/** Plays `run.count` operations on the VMs, with a fault in each. Returns figures. */
export async function sufferChain(
  run: CampaignRun,
  { bundle, faults = chainFaults, vms = ["off", "runs"], settledWithinMs = 180_000 }: ChainOptions = {},
): Promise<Readonly<Record<string, unknown>>> {
  // Mounted before the guests' namespaces are made, which have it then.
  const { path: small, unmount } = await mountInMemory("chain", POOL_MIB);
  run.cleanUp(unmount);
  const death = run.keep(await AgentDeath.make());
  const dumps = await mkdtemp(join(tmpdir(), "socle-memory-"));
  run.cleanUp(() => rm(dumps, { recursive: true, force: true }));
  const volumeKeyFile = await keyFile(run);
  const host = await FaultyHost.start(run, {
    ...death.agentOptions,
    config: { vm: { dumpDirectory: dumps, volumeKeyFile } },
    ...(bundle === undefined ? {} : { bundle }),
  });
  await host.witness.virsh("pool-create-as", "small", "dir", "--target", small);
  await host.untilPoolsListed();
  const watch = new Watch(run, host);
  const killer = new Killer(host, watch, death);
  const strikes = new ChainStrikes(host, killer, small);
  const { vmId: bystander } = await host.succeeds(mutation("CREATE", "bystander"));
  const process = await host.witness.process(bystander);
  watch.mustLive(bystander);
  const places = { small, images: host.libvirtd.imagesDirectory };
  const make = async (name: ChainVictim["name"]): Promise<ChainVictim> => {
    const request = { requestId: randomUUID(), spec: specOf(name), leaveStopped: name === "off" };
    const begun = await host.client.ask(host.client.contract.vms.CreateVm, request);
    const end = await host.ended(begun, END_WITHIN_MS);
    if (end.state !== "STATE_SUCCEEDED") throw new Error(host.describe(end));
    return new ChainVictim(run, host, { name, vmId: end.vmId, places, dumps, settledWithinMs });
  };
  const victims: ChainVictim[] = [];
  for (const name of vms) victims.push(await make(name));
  const sealed = await SealedVictim.make(run, host, { places, dumps, volumeKeyFile });
  let [restored, lost, inDoubt] = [0, 0, 0];
  for (let at = 0; run.tries < run.count; at += 1) {
    const round = Math.floor(at / lifeOfAChain.length);
    for (const [each, victim] of victims.entries()) {
      if (run.tries >= run.count) break;
      const step = lifeOfAChain[victim.steps % lifeOfAChain.length] ?? ["MOVE"];
      // Other faults of each step in each life.
      const planned = faults[(at + round + 3 * each) % faults.length] ?? "agent";
      // A full pool would end the other's backup, too.
      const hasOther = victims.some((other) => other !== victim && other.hasOpenBackup);
      const fault = planned === "pool" && hasOther ? "agent" : planned;
      run.tries += 1;
      await victim.suffer(step, fault, strikes);
      run.demand(
        isSame(process, await host.witness.process(bystander)),
        "the bystander's process was replaced",
      );
      if (victim.isLost) {
        await host.succeeds(mutation("DELETE", victim.vmId));
        victims[each] = await make(victim.name);
        lost += 1;
        inDoubt += victim.inDoubt;
      } else if (step[0] === "FINISH" && victim.newest !== undefined && run.tries % 4 === 0) {
        await restore(run, host, { bytes: victim.newest, killer, small });
        restored += 1;
      }
    }
    if (at % SEALED_EVERY === SEALED_FROM && run.tries < run.count) {
      run.tries += 1;
      await sealed.suffer(faults[Math.floor(at / SEALED_EVERY) % faults.length] ?? "agent", strikes, killer);
    }
  }
  watch.mayEnd(bystander);
  await host.untilListed();
  for (const { vmId } of (await host.list()).vms) await host.succeeds(mutation("DELETE", vmId));
  const left = [...(await host.witness.volumes()), ...(await host.witness.volumes("small"))];
  run.demand(left.length === 0, `volumes remain without VMs: ${left.join()}`);
  const failures = Object.fromEntries(victims.map(({ name, failures: found }) => [name, found]));
  const { counts, stuckJobs } = strikes;
  return {
    faults: counts,
    stuckJobs,
    lost,
    inDoubt: victims.reduce((sum, victim) => sum + victim.inDoubt, inDoubt),
    failures,
    restored,
    restoredSealed: sealed.restored,
    deaths: killer.deaths,
    boundaries: killer.boundaries,
  };
}

/** The key under which the agent seals passphrases. */
async function keyFile(run: CampaignRun): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "socle-chain-"));
  run.cleanUp(() => rm(directory, { recursive: true, force: true }));
  const file = join(directory, "volume-key");
  await writeFile(file, randomBytes(32), { mode: 0o600 });
  return file;
}

/** A new VM gets the bytes of a backup, over the agent's death. */
async function restore(
  run: CampaignRun,
  host: FaultyHost,
  { bytes, killer, small }: { readonly bytes: Buffer; readonly killer: Killer; readonly small: string },
): Promise<void> {
  const at = (name: string): string => join(host.agent.directory, name);
  await writeFile(at("newest.raw"), bytes);
  await promisify(execFile)("qemu-img", [
    "convert",
    "-f",
    "raw",
    "-O",
    "qcow2",
    at("newest.raw"),
    at("newest.qcow2"),
  ]);
  const file = await readFile(at("newest.qcow2"));
  const vm = `restored-${run.tries}`;
  const { vms } = host.client.contract;
  const request = { requestId: randomUUID(), spec: specOf(vm), leaveStopped: true };
  // The pool may have been full until now, which the agent sees late.
  const create = () => host.client.ask(vms.CreateVm, request);
  const begun = await eventually(create, {
    what: "room in the pool",
    timeoutMs: END_WITHIN_MS,
    intervalMs: 2000,
  });
  const { vmId } = await host.ended(begun, END_WITHIN_MS);
  const trap = await killer.set("RESTORE");
  run.log(`${run.tries}/${run.count} RESTORE, the agent is killed ${trap.what}`);
  const send = async (): Promise<boolean> => {
    const { client } = host;
    const on = { client, end: (each: Parameters<typeof host.ended>[0]) => host.ended(each, END_WITHIN_MS) };
    return (await restoreDisk(on, vm, file, { disk: "data" })).state === "STATE_SUCCEEDED";
  };
  await trap.spring(send().catch(() => undefined));
  await killer.revive();
  await host.untilListed();
  await eventually(send, { what: "the restoration to succeed", timeoutMs: END_WITHIN_MS });
  const path = join(small, `socle-${vmId}-data.qcow2`);
  await promisify(execFile)("qemu-img", ["convert", "-O", "raw", path, at("restored.raw")]);
  run.demand((await readFile(at("restored.raw"))).equals(bytes), "a restored disk differs from its backup");
  await host.succeeds(mutation("DELETE", vmId));
}

const specOf = (name: string): VmSpec => ({
  name,
  vcpus: 1,
  memoryBytes: 32 * MIB,
  disks: [
    { name: "boot", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true },
    { name: "data", newVolume: { pool: "small", capacityBytes: DISK_BYTES, format: "DISK_FORMAT_QCOW2" } },
  ],
});
