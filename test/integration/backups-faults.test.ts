// Backups beside crashes of QEMU, full pools, and VMs that are off.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { Disk } from "../../agent/gen/socle/v1/Disk.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { MortalHost } from "../support/mortal-host.ts";
import { bootSector, linux, type SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { BackupReader } from "./backups-stage.ts";

const run = promisify(execFile);
const MIB = 2 ** 20;
const BYTES = 8 * MIB;

suite("backups beside faults", { skip: libvirtdUnavailable(), timeout: 600_000 }, () => {
  let mortal: MortalHost;
  let host: SocleHost;
  let reader: BackupReader;
  let small: string;

  before(async () => {
    small = await mkdtemp(join(tmpdir(), "socle-small-"));
    await run("mount", ["-t", "tmpfs", "-o", "size=640m,mode=755", "socle-test", small]);
    mortal = await MortalHost.start({ config: { vm: { allowForgeableRawDisks: true } } });
    ({ host } = mortal);
    await host.virsh("pool-create-as", "small", "dir", "--target", small);
    await host.untilListed();
    reader = new BackupReader(host);
  });
  after(async () => {
    await mortal.stop();
    await run("umount", ["--lazy", small]);
    await rmdir(small);
  });

  const disk = (name: string, format: "QCOW2" | "RAW" = "QCOW2", pool = "images"): Disk => ({
    name,
    newVolume: { pool, capacityBytes: BYTES, format: `DISK_FORMAT_${format}` },
  });
  const create = async (name: string, disks: Disk[], leaveStopped: boolean): Promise<string> => {
    const spec = bootSector(name, { disks: [...(bootSector(name).disks ?? []), ...disks] });
    const { error, vmId } = await host.create(spec, { leaveStopped });
    assert.equal(error, null);
    return vmId;
  };
  const change = async (asked: Promise<Operation__Output>): Promise<Readonly<Record<string, string>>> => {
    const { error, steps, result } = await host.end(await asked, 120_000);
    assert.equal(error, null, `${JSON.stringify(error)} ${JSON.stringify(steps)}`);
    return result;
  };
  const vms = () => host.client.contract.vms;
  const of = (vm: string, more: object = {}) => ({ requestId: randomUUID(), vm, ...more });
  const start = (vm: string) => change(host.client.ask(vms().StartVm, of(vm)));
  const stop = (vm: string) => change(host.client.ask(vms().StopVm, of(vm)));
  const forceOff = (vm: string) =>
    change(host.client.ask(vms().StopVm, of(vm, { force: true, gracefulTimeout: { seconds: 0 } })));
  const fileOf = (vmId: string, name: string): string =>
    join(host.libvirtd.imagesDirectory, `socle-${vmId}-${name}`);
  /** The size of an image, and the names of its bitmaps, by qemu-img. */
  const image = async (file: string): Promise<{ bytes: number; bitmaps: string[] }> => {
    const { stdout } = await run("qemu-img", ["info", "-U", "--output=json", file]);
    const info = JSON.parse(stdout) as {
      "virtual-size": number;
      "format-specific"?: { data: { bitmaps?: { name: string }[] } };
    };
    const bitmaps = info["format-specific"]?.data.bitmaps ?? [];
    return { bytes: info["virtual-size"], bitmaps: bitmaps.map(({ name }) => name) };
  };
  const crash = async (vm: string, vmId: string): Promise<void> => {
    const { stdout } = await run("pgrep", ["-f", `guest=${vm},.*${vmId}`]);
    process.kill(Number(stdout.trim().split("\n")[0]), "SIGKILL");
    await eventually(async () => (await host.virsh("domstate", vm)) === "shut off", { what: "the crash" });
  };

  test("a disk whose bitmap a crash of QEMU broke is enlarged, and the next backup is full", async () => {
    const vm = "crashed";
    const id = await create(vm, [disk("data")], true);
    const file = fileOf(id, "data.qcow2");
    for (const [index, isOff] of [true, false].entries()) {
      const base = await reader.begin(vm);
      await reader.finish(vm, base.backupId);
      assert.deepEqual((await image(file)).bitmaps, [base.backupId]);
      // QEMU marks the bitmap as in use while it records changes.
      await start(vm);
      await crash(vm, id);
      if (!isOff) await start(vm);
      const capacityBytes = (index + 2) * BYTES;
      await change(host.client.ask(vms().ResizeDisk, of(vm, { disk: "data", capacityBytes })));
      assert.deepEqual(await image(file), { bytes: capacityBytes, bitmaps: [] });
      assert.equal(await host.virsh("domstate", vm), isOff ? "shut off" : "running");
      const next = await reader.begin(vm, { baseBackup: base.backupId });
      assert.deepEqual(
        next.disks.map(({ incremental, fullReason, capacityBytes: bytes }) => [
          incremental,
          fullReason,
          bytes,
        ]),
        [[false, "BITMAP_LOST", capacityBytes]],
      );
      await reader.finish(vm, next.backupId);
      if (!isOff) await forceOff(vm);
    }
    await start(vm);
    // A bitmap that is whole survives the same change. A longer lease ends with its backup.
    const [{ backupId } = { backupId: "" }] = await reader.list(vm);
    await change(host.client.ask(vms().ResizeDisk, of(vm, { disk: "data", capacityBytes: 4 * BYTES })));
    const { disks, backupId: last } = await reader.begin(vm, { baseBackup: backupId });
    assert.equal(disks[0]?.incremental, true);
    const { backups } = host.client.contract;
    await host.client.ask(backups.RenewBackup, of(vm, { backupId: last, leaseSeconds: 86_400 }));
    await reader.finish(vm, last);
    await change(host.client.ask(vms().MoveDisk, of(vm, { disk: "data", pool: "small" })));
    const moved = await reader.begin(vm, { baseBackup: last });
    assert.deepEqual(
      moved.disks.map(({ incremental, fullReason }) => [incremental, fullReason]),
      [[false, "NOT_IN_BASE"]],
    );
    const expires = await eventually(
      async () => (await reader.get(vm, moved.backupId)).leaseExpiresAt?.seconds,
      { what: "the lease" },
    );
    assert.ok(expires < Date.now() / 1000 + 3600, "the lease of another backup");
    await reader.finish(vm, moved.backupId);
    await host.remove(vm);
  });

  test("a death of the agent in such a change leaves no QEMU behind, and the next agent completes it", async () => {
    const vm = "twice";
    const id = await create(vm, [disk("data")], true);
    await reader.finish(vm, (await reader.begin(vm)).backupId);
    await start(vm);
    await crash(vm, id);
    // While the VM has a QEMU for the change.
    const { died, end } = await mortal.survives(16, (requestId) => {
      const asked = { requestId, vm, disk: "data", capacityBytes: 2 * BYTES };
      return host.client.ask(vms().ResizeDisk, asked);
    });
    assert.ok(died && end.steps.some(({ name }) => name === "start paused"), JSON.stringify(end.steps));
    assert.deepEqual(await image(fileOf(id, "data.qcow2")), { bytes: 2 * BYTES, bitmaps: [] });
    assert.equal(await host.virsh("domstate", vm), "shut off");
    await host.remove(vm);
  });

  test("snapshots of a stopped VM leave no bitmap of its backups behind, and a raw disk gets one", async () => {
    const vm = "kept";
    const id = await create(vm, [disk("data"), disk("raw", "RAW")], true);
    const base = await reader.begin(vm);
    await reader.finish(vm, base.backupId);
    assert.deepEqual((await image(fileOf(id, "data.qcow2"))).bitmaps, [base.backupId]);
    const { snapshots } = host.client.contract;
    await change(host.client.ask(snapshots.CreateSnapshot, of(vm, { name: "one" })));
    assert.deepEqual((await image(fileOf(id, "data.qcow2"))).bitmaps, []);
    assert.equal(await host.virsh("domstate", vm), "shut off");
    const second = await reader.begin(vm, { baseBackup: base.backupId });
    assert.deepEqual(
      second.disks.map(({ incremental, fullReason }) => [incremental, fullReason]),
      [
        [false, "BITMAP_LOST"],
        [false, "NOT_IN_BASE"],
      ],
    );
    await assert.rejects(host.client.ask(snapshots.CreateSnapshot, of(vm, { name: "two" })), {
      reason: "BACKUP_OPEN",
    });
    await reader.finish(vm, second.backupId);
    const third = await reader.begin(vm, { baseBackup: second.backupId });
    assert.deepEqual(
      third.disks.map(({ incremental }) => incremental),
      [true, true],
    );
    await reader.finish(vm, third.backupId);
    await change(host.client.ask(snapshots.RevertSnapshot, of(vm, { snapshot: "one" })));
    for (const file of (await reader.files(id)).filter((name) => name.endsWith(".qcow2")))
      assert.deepEqual((await image(join(host.libvirtd.imagesDirectory, file))).bitmaps, [], file);
    await host.remove(vm);
    assert.deepEqual(await reader.files(id), []);
  });

  test("the QEMU of a stopped VM's backup is no guest: a stop ends it, and a start has the newest size", async () => {
    const vm = "off";
    const id = await create(vm, [disk("data")], true);
    const files = await reader.files(id);
    const isOver = async (): Promise<boolean> => (await reader.list(vm)).length === 0;
    const metadata = () => host.virsh("metadata", vm, "urn:socle:vm:1");
    await reader.begin(vm);
    assert.equal(await host.virsh("domstate", vm), "paused");
    assert.deepEqual(await stop(vm), { state: "stopped", stopped_by: "already" });
    assert.equal(await host.virsh("domstate", vm), "shut off");
    await eventually(isOver, { what: "the backup to be abandoned" });
    assert.match(await metadata(), /unstarted/, "its disks can still be restored");

    const { backupId } = await reader.begin(vm);
    const spec = { vcpus: 2, memoryBytes: 48 * MIB };
    const update = { spec, updateMask: { paths: ["vcpus", "memory_bytes"] } };
    const changed = await change(host.client.ask(vms().UpdateVm, of(vm, update)));
    assert.equal(changed["applies"], "at the next start");
    // The reader goes on until then.
    await reader.read(vm, backupId, "data", Buffer.alloc(BYTES));
    assert.equal((await start(vm))["state"], "running");
    assert.equal(await host.virsh("domstate", vm), "running");
    const info = await host.virsh("dominfo", vm);
    assert.match(info, /CPU\(s\):\s+2\n/);
    assert.match(info, /Used memory:\s+49152 KiB/);
    await eventually(isOver, { what: "the backup to be abandoned" });
    assert.deepEqual(await reader.files(id), files);
    assert.equal(await host.virsh("domstate", vm), "running");
    await host.remove(vm);
  });

  test("a guest that is resumed in the QEMU of a backup has started: its disks are not restored any more", async () => {
    const vm = "resumed";
    await create(vm, [disk("data")], true);
    const metadata = () => host.virsh("metadata", vm, "urn:socle:vm:1");
    const { backupId } = await reader.begin(vm);
    assert.match(await metadata(), /unstarted/);
    await change(host.client.ask(vms().ResumeVm, of(vm)));
    assert.doesNotMatch(await metadata(), /unstarted/);
    await reader.finish(vm, backupId);
    assert.equal(await host.virsh("domstate", vm), "running");
    await host.remove(vm);
  });

  test("a guest that a full pool paused goes on when its backup is abandoned", async () => {
    const vm = "starved";
    const { error } = await host.create(linux(vm, { disks: [disk("root", "QCOW2", "small")] }));
    assert.equal(error, null);
    const libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog });
    const guest = await GuestShell.join(libvirt, vm);
    const write = (letter: string) =>
      guest.run(
        `dd if=/dev/zero bs=1M count=6 2>/dev/null | tr '\\0' ${letter} | dd of=/dev/vda bs=65536 conv=notrunc,fsync 2>/dev/null; echo written-$?`,
      );
    await write("a");
    const { backupId } = await reader.begin(vm);
    // The agent sees the pool only once the guest has met it full.
    host.agent.signal("SIGSTOP");
    const filler = join(small, "filler");
    await run("sh", ["-c", `head -c 700M /dev/zero >${filler} || true`]);
    const written = write("b");
    const { stdout: reason } = await eventually(
      async () => {
        const paused = await run("virsh", ["-c", host.libvirtd.uri, "domstate", "--reason", vm]);
        return paused.stdout.includes("paused") && paused;
      },
      { what: "the guest to be paused" },
    );
    assert.match(reason, /I\/O error/);
    host.agent.signal("SIGCONT");
    assert.match(await written, /written-0/);
    assert.equal(await host.virsh("domstate", vm), "running");
    const events = host.client.watch(host.client.contract.events.Subscribe, {
      kinds: ["EVENT_KIND_VM_BACKUP_ABANDONED"],
    });
    for await (const event of events) {
      if (event.vmName !== vm) continue;
      const { backup, resumed } = event.details;
      assert.deepEqual([event.reason, backup, resumed], ["POOL_NEARLY_FULL", backupId, "true"]);
      break;
    }
    assert.match(
      await guest.run("head -c 3 /dev/vda; dd if=/dev/vda bs=1M skip=5 count=1 2>/dev/null | tail -c 3"),
      /bbbbbb/,
    );
    assert.deepEqual(await reader.list(vm), []);
    await rm(filler);
    await guest.close();
    await libvirt.close();
    await host.remove(vm);
  });
});
