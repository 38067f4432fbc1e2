// a full backup, and one of 1 % of changes, in a directory and by nbdcopy, against virsh backup-begin and nbdcopy
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { bench } from "./bench.ts";
import { createFullGuest, inMemory, startBenchHost, succeeded, warmMemory } from "./bench-host.ts";
import { measurePairs } from "./pairs.ts";
import { peerBackup } from "./peer-backup.ts";

const execute = promisify(execFile);

await bench("backup", async (run) => {
  const mib = run.quick ? 32 : 1024;
  const pairs = run.quick ? 1 : 10;
  const [directory, pool] = [await inMemory(run, 8192), await inMemory(run, 16_384)];
  const bundle = await run.bundle();
  const host = await startBenchHost(run, { bundle, pools: { memory: pool } });
  const { client } = host;
  const { vms, backups } = client.contract;
  const { vmId } = await createFullGuest(host, "guest", { pool: "memory", directory: pool, mib });
  await succeeded(host, client.ask(vms.StartVm, { requestId: randomUUID(), vm: "guest" }));

  const [copy, to] = [`${directory}/copy.raw`, `${directory}/backups`];
  const peer = await peerBackup(host, "guest", { pool, copy });
  const tidy = async (): Promise<void> => {
    await rm(copy, { force: true });
    await rm(to, { recursive: true, force: true });
  };
  const env = { ...process.env, SOCLE_SOCKET: host.agent.socketPath };
  const take = async (...options: readonly string[]): Promise<void> => {
    const line = ["vm", "backup", "create", "guest", "--to", to, ...options];
    await execute(process.execPath, [bundle, ...line], { env });
  };
  const ready = () => warmMemory(directory, mib);
  const byDirectory = await measurePairs(run, pairs, () => ({
    socle: () => take("--full"),
    peer,
    ready,
    tidy,
  }));
  const byNbd = await measurePairs(run, pairs, () => ({
    socle: async () => {
      const of = () => ({ requestId: randomUUID(), vm: "guest" });
      const begun = await succeeded(host, client.ask(backups.BeginBackup, of()));
      const backupId = begun.result["backup_id"] ?? "";
      const { nbdUri, disks } = await client.ask(backups.GetBackup, { vm: "guest", backupId });
      await execute("nbdcopy", [nbdUri.replace("///?", `///${disks[0]?.nbdExport ?? ""}?`), copy]);
      await succeeded(host, client.ask(backups.FinishBackup, { ...of(), backupId, success: true }));
    },
    peer,
    ready,
    tidy,
  }));

  await take("--full");
  const bytesBefore = await sizeOf(to);
  const changedKib = Math.round((mib * 1024) / 100 / 64) * 64;
  const write = `qemu-io ${await nodeOf()} "write -P 1 1M ${changedKib}k"`;
  await host.virsh("qemu-monitor-command", "guest", "--hmp", write);
  await take();
  const changedBytes = (await sizeOf(to)) - bytesBefore;
  return {
    figures: {
      mib,
      pairs,
      directoryMs: byDirectory.socleMs,
      directoryPeerMs: byDirectory.peerMs,
      directoryRatio: byDirectory.ratio,
      nbdMs: byNbd.socleMs,
      nbdPeerMs: byNbd.peerMs,
      nbdRatio: byNbd.ratio,
      fullBytes: bytesBefore,
      changedBytes,
      changedShare: changedBytes / bytesBefore,
    },
    bound: {
      directoryRatio: { atMost: 1.2 },
      nbdRatio: { atMost: 1.2 },
      changedShare: { atMost: 0.05 },
    },
  };

  /** The node of QEMU that the guest writes to. */
  async function nodeOf(): Promise<string> {
    const shown = await host.virsh("qemu-monitor-command", "guest", "--hmp", "info block");
    const line = shown.split("\n").find((each) => each.includes(`${vmId}-data`));
    const node = line?.split(":")[0];
    if (node === undefined) throw new Error(`QEMU shows no node of the disk:\n${shown}`);
    return node;
  }
});

/** Of all files of a directory, without their holes. */
async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory)) bytes += (await stat(join(directory, name))).blocks * 512;
  return bytes;
}
