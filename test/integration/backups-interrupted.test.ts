// Deaths of the agent at the boundaries of its journal, and of libvirtd and QEMU, while a backup begins, is open and ends.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { fromStatus } from "../../agent/cli/rpc-error.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { MortalHost } from "../support/mortal-host.ts";
import { socleCommand } from "../support/programs.ts";
import { bootSector, type SocleHost } from "../support/socle-host.ts";
import { removeStuckJob, runRecord } from "../support/stuck-job.ts";
import { eventually } from "../support/wait.ts";
import { BackupReader } from "./backups-stage.ts";

const MIB = 2 ** 20;
const BYTES = 8 * MIB;
const run = promisify(execFile);

suite("interrupted backups", { skip: libvirtdUnavailable(), timeout: 1_500_000 }, () => {
  let mortal: MortalHost;
  let host: SocleHost;
  let reader: BackupReader;

  let keys: string;

  before(async () => {
    keys = await mkdtemp(join(tmpdir(), "socle-keys-"));
    const volumeKeyFile = join(keys, "volume-key");
    await writeFile(volumeKeyFile, randomBytes(32), { mode: 0o600 });
    mortal = await MortalHost.start({ config: { vm: { volumeKeyFile } } });
    ({ host } = mortal);
    reader = new BackupReader(host);
    await eventually(async () => (await host.host()).inventory?.complete, {
      what: "the host's traits to be known",
      timeoutMs: 60_000,
    });
  });
  after(async () => {
    await mortal.stop();
    await rm(keys, { recursive: true, force: true });
  });

  const data = { name: "data", newVolume: { pool: "images", capacityBytes: BYTES } };
  const sealed = { ...data, newVolume: { ...data.newVolume, encryption: "VOLUME_ENCRYPTION_LUKS" as const } };
  const create = async (name: string, leaveStopped: boolean, disk: typeof data = data): Promise<string> => {
    const spec = bootSector(name, { disks: [...(bootSector(name).disks ?? []), disk] });
    const { error, vmId } = await host.create(spec, { leaveStopped });
    assert.equal(error, null);
    return vmId;
  };
  const write = async (vmId: string, letter: string, at: number): Promise<void> => {
    const file = join(host.libvirtd.imagesDirectory, `socle-${vmId}-data.qcow2`);
    await run("qemu-io", ["-c", `write -P ${letter.charCodeAt(0)} ${at * 65536} 65536`, file]);
  };
  const letters = (bytes: Buffer, count: number): string =>
    Array.from({ length: count }, (_, at) => bytes.toString("latin1", at * 65536, at * 65536 + 1)).join("");

  const beginning = (vm: string, baseBackup: string) => (requestId: string) =>
    host.client.ask(host.client.contract.backups.BeginBackup, {
      ...{ requestId, vm, baseBackup },
      allowEncrypted: true,
    });
  const finishing = (vm: string, backupId: string, success: boolean) => (requestId: string) =>
    host.client.ask(host.client.contract.backups.FinishBackup, { requestId, vm, backupId, success });

  /** Backups that begin and end in agents that die at ever later boundaries, each over the one before. */
  const chain = async (
    vm: string,
    id: string,
    leaveStopped: boolean,
    step: number,
    runNumber = "",
  ): Promise<void> => {
    const resting = leaveStopped ? "shut off" : "running";
    const files = await reader.files(id);
    let base = "";
    let deaths = 0;
    let content: Buffer = Buffer.alloc(BYTES);
    for (let round = 0; ; round += 1) {
      const boundary = 1 + round * step;
      if (leaveStopped) await write(id, String.fromCharCode(97 + round), round);
      const begun = await mortal.survives(boundary, beginning(vm, base));
      const backupId = begun.end.result["backup_id"] ?? assert.fail("no id");
      assert.equal(await reader.job(vm), "Backup");
      assert.equal((await reader.files(id)).length, files.length + 1);
      const { disks } = await reader.get(vm, backupId);
      assert.equal(disks[0]?.incremental, base !== "", `round ${round}`);
      const { bytes, contentBytes } = await reader.read(vm, backupId, "data", content);
      if (leaveStopped) {
        assert.equal(letters(bytes, round + 1), "abcdefghijklmnopqrstuvwxyz".slice(0, round + 1));
        assert.equal(contentBytes, 65536, "one block has changed");
      }
      content = bytes;
      const ended = await mortal.survives(boundary, finishing(vm, backupId, true));
      assert.equal(ended.end.result["success"] ?? "true", "true");
      assert.deepEqual(
        (await reader.list(vm)).map((each) => [each.backupId, each.state]),
        [[backupId, "BACKUP_STATE_COMPLETE"]],
      );
      assert.deepEqual(await reader.files(id), files);
      assert.deepEqual(await reader.checkpoints(vm), [backupId]);
      assert.deepEqual(await reader.sockets(), []);
      assert.equal(await reader.job(vm).catch(() => "none"), "none");
      assert.equal(await host.virsh("domstate", vm), resting);
      if (runNumber !== "") assert.equal(await host.virsh("domid", vm), runNumber, "the guest ran on");
      base = backupId;
      if (!begun.died && !ended.died) break;
      deaths += (begun.died ? 1 : 0) + (ended.died ? 1 : 0);
    }
    assert.ok(deaths >= 4, `${deaths} deaths`);
    await host.remove(vm);
    assert.deepEqual(await reader.files(id), []);
  };

  test("a stopped VM's chain of backups survives the agent's death at any boundary", async () => {
    await chain("off", await create("off", true), true, 10);
  });

  test("a running guest's chain of backups survives the agent's death at any boundary", async () => {
    const id = await create("runs", false);
    const number = await host.virsh("domid", "runs");
    await chain("runs", id, false, 13, number);
  });

  test("the chain of a running guest's encrypted disk survives the agent's death at any boundary", async () => {
    const id = await create("sealed", false, sealed);
    const number = await host.virsh("domid", "sealed");
    await chain("sealed", id, false, 11, number);
  });

  test("a backup whose agent dies as it begins is ended by the next run into its directory", async () => {
    const vm = "command";
    const id = await create(vm, false);
    const files = await reader.files(id);
    const to = join(keys, "backups");
    const command = [...socleCommand, "vm", "backup", "create", vm, "--full", "--to", to];
    const env = { ...process.env, SOCLE_SOCKET: host.agent.socketPath };
    const backUp = async (): Promise<string> => (await run(process.execPath, command, { env })).stderr;
    let ended = 0;
    for (const boundary of [1, 5, 10, 15]) {
      const before = await readdir(to).catch(() => []);
      let text = "";
      const died = await mortal.diesIn(boundary, () =>
        backUp().catch((thrown: unknown) => {
          text = (thrown as { stderr: string }).stderr;
          throw thrown;
        }),
      );
      assert.ok(died, `no death at boundary ${boundary}`);
      assert.match(text, /a backup that this command began may stay open/, `boundary ${boundary}`);
      assert.deepEqual((await readdir(to)).sort(), [...before, "backup.begun"].sort());
      if ((await backUp()).includes("which an earlier run left open")) ended += 1;
      const names = await readdir(to);
      assert.equal(names.length, Math.max(before.length, 1) + 1, names.join());
      const states = (await reader.list(vm)).map(({ state }) => state);
      assert.deepEqual(states, ["BACKUP_STATE_COMPLETE"]);
      assert.deepEqual(await reader.files(id), files);
    }
    assert.ok(ended > 0, "no death left a backup open");
    await host.remove(vm);
  });

  test("an open backup is read on after a death of the agent, and after one of libvirtd", async () => {
    const vm = "open";
    const id = await create(vm, true);
    await write(id, "k", 1);
    const { backupId } = await reader.begin(vm, { leaseSeconds: 3600 });
    await mortal.restart();
    const first = await reader.read(vm, backupId, "data", Buffer.alloc(BYTES));
    assert.equal(letters(first.bytes, 2), "\0k");
    const expires = (await reader.get(vm, backupId)).leaseExpiresAt?.seconds ?? 0;
    assert.ok(expires * 1000 > Date.now() + 3_000_000, "the lease goes on");
    await host.libvirtd.kill("SIGKILL");
    await host.libvirtd.startAgain();
    await host.untilListed();
    const second = await reader.read(vm, backupId, "data", Buffer.alloc(BYTES));
    assert.ok(second.bytes.equals(first.bytes));
    await reader.finish(vm, backupId);
    assert.equal(await host.virsh("domstate", vm), "shut off");
    await host.remove(vm);
  });

  test("a backup is abandoned when its QEMU is killed, its base stays, and the next one is full", async () => {
    const vm = "killed";
    const id = await create(vm, false);
    const files = await reader.files(id);
    const base = await reader.begin(vm);
    await reader.finish(vm, base.backupId);
    const lost = await reader.begin(vm, { baseBackup: base.backupId });
    assert.equal(lost.disks[0]?.incremental, true);
    const { stdout } = await run("pgrep", ["-f", `guest=${vm},.*${id}`]);
    process.kill(Number(stdout.trim().split("\n")[0]), "SIGKILL");
    await eventually(
      async () => (await reader.list(vm)).every(({ state }) => state === "BACKUP_STATE_COMPLETE"),
      {
        what: "the backup to be abandoned",
      },
    );
    assert.deepEqual(
      (await reader.list(vm)).map(({ backupId }) => backupId),
      [base.backupId],
    );
    assert.deepEqual(await reader.files(id), files);
    const started = await host.client.ask(host.client.contract.vms.StartVm, { requestId: randomUUID(), vm });
    assert.equal((await host.end(started)).error, null);
    const next = await reader.begin(vm, { baseBackup: base.backupId });
    assert.deepEqual(
      next.disks.map(({ incremental, fullReason }) => [incremental, fullReason]),
      [[false, "BITMAP_LOST"]],
    );
    await reader.finish(vm, next.backupId);
    assert.deepEqual(await reader.checkpoints(vm), [next.backupId]);
    await host.remove(vm);
    assert.deepEqual(await reader.files(id), []);
  });

  test("a job that libvirt lost is named as such, and the two ways out of the manual end it", async () => {
    const vm = "stuck";
    await create(vm, false);
    const { libvirtd } = host;
    const xml = join(host.agent.directory, "stuck.xml");
    const scratch = join(libvirtd.imagesDirectory, "stuck.scratch");
    await run("qemu-img", ["create", "-q", "-f", "qcow2", scratch, String(BYTES)]);
    await chmod(scratch, 0o666);
    const disk = `<disk name='vdb' type='file'><driver type='qcow2'/><scratch file='${scratch}'/></disk>`;
    const server = `<server transport='unix' socket='${join(libvirtd.socketDirectory, "stuck.sock")}'/>`;
    await writeFile(xml, `<domainbackup mode='pull'>${server}<disks>${disk}</disks></domainbackup>`);
    const guest = async (): Promise<number> =>
      Number((await run("pgrep", ["-f", `guest=${vm},`])).stdout.trim().split("\n")[0]);
    /** libvirtd ends while it waits for QEMU, and has not noted yet which backup it begins. */
    const getStuck = async (): Promise<void> => {
      const pid = await guest();
      process.kill(pid, "SIGSTOP");
      try {
        const begun = host.virsh("backup-begin", vm, xml, "--reuse-external").catch(String);
        const hasBegun = async (): Promise<boolean> =>
          (await runRecord(libvirtd, vm))?.includes(" async='backup'") === true;
        await eventually(hasBegun, { what: "libvirt to begin the backup" });
        await libvirtd.kill("SIGKILL");
        await begun;
      } finally {
        process.kill(pid, "SIGCONT");
      }
    };
    const startAgain = async (): Promise<void> => {
      await libvirtd.startAgain();
      await host.untilListed();
    };
    const pid = await guest();
    await getStuck();
    await startAgain();
    await assert.rejects(host.virsh("domjobinfo", vm), /job data missing/);
    const { error } = await host.end(await reader.beginning(vm));
    assert.equal(error === null ? "" : fromStatus(host.client.contract, error).reason, "VM_JOB_STUCK");
    assert.match(error?.message ?? "", /restart libvirtd while the VM is off/);
    await libvirtd.kill("SIGKILL");
    assert.ok(await removeStuckJob(libvirtd, vm));
    await startAgain();
    const { backupId } = await reader.begin(vm);
    await reader.finish(vm, backupId);
    assert.equal(await guest(), pid, "the guest ran on");

    await getStuck();
    await startAgain();
    await host.virsh("destroy", vm);
    await libvirtd.kill("SIGKILL");
    await startAgain();
    const { vms } = host.client.contract;
    const started = await host.client.ask(vms.StartVm, { requestId: randomUUID(), vm });
    assert.equal((await host.end(started)).error, null);
    await host.remove(vm);
    await rm(scratch);
  });
});
