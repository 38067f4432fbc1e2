import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { leaveNodes } from "../support/left-nodes.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { BackupReader } from "./backups-stage.ts";

const run = promisify(execFile);
const MIB = 2 ** 20;
const ROOT_BYTES = 16 * MIB;
const RAW_BYTES = 8 * MIB;

suite("backups over the API", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let host: SocleHost;
  let libvirt: Libvirt;
  let reader: BackupReader;

  before(async () => {
    host = await SocleHost.start({ config: { vm: { allowForgeableRawDisks: true } } });
    libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog });
    reader = new BackupReader(host);
  });
  after(async () => {
    await libvirt.close();
    await host.stop();
  });

  const disk = (name: string, capacityBytes: number, format: "QCOW2" | "RAW" = "QCOW2") => ({
    name,
    newVolume: { pool: "images", capacityBytes, format: `DISK_FORMAT_${format}` as const },
  });
  const create = async (
    name: string,
    disks = [disk("root", ROOT_BYTES)],
    leaveStopped = false,
  ): Promise<string> => {
    const { error, vmId } = await host.create(linux(name, { disks }), { leaveStopped });
    assert.equal(error, null);
    return vmId;
  };
  /** A block of 64 KiB of one letter, written by the guest. */
  const write = (
    guest: GuestShell,
    device: string,
    letter: string,
    at: number,
    blocks = 1,
  ): Promise<string> =>
    guest.run(
      `dd if=/dev/zero bs=65536 count=${blocks} 2>/dev/null | tr '\\0' ${letter} | dd of=/dev/${device} bs=65536 seek=${at} conv=notrunc,fsync 2>/dev/null; sync`,
    );
  const block = (bytes: Buffer, at: number): string => bytes.toString("latin1", at * 65536, at * 65536 + 3);

  test("block nodes that a libvirt which died left in QEMU do not stop a backup", async () => {
    const id = await create("left");
    await leaveNodes(host.libvirtd.uri, "left", 2);
    const { backupId, state } = await reader.begin("left");
    assert.equal(state, "BACKUP_STATE_OPEN");
    await reader.finish("left", backupId);
    assert.deepEqual(await reader.checkpoints("left"), [backupId]);
    assert.deepEqual(await reader.files(id), [`socle-${id}-root.qcow2`]);
  });

  test("a full backup has the disk's bytes at its instant, and increments what the guest wrote since", async () => {
    const id = await create("web", [disk("root", ROOT_BYTES), disk("log", RAW_BYTES, "RAW")]);
    const guest = await GuestShell.join(libvirt, "web");
    await write(guest, "vda", "a", 0, 4);
    await write(guest, "vda", "b", 100, 2);
    await write(guest, "vdb", "c", 7);

    const first = await reader.begin("web");
    assert.equal(first.state, "BACKUP_STATE_OPEN");
    assert.deepEqual(
      first.disks.map(({ disk: name, incremental, fullReason }) => [name, incremental, fullReason]),
      [
        ["root", false, ""],
        ["log", false, ""],
      ],
    );
    // The guest goes on, and the backup does not see it.
    await write(guest, "vda", "x", 0);
    await write(guest, "vda", "y", 200);
    const root = await reader.read("web", first.backupId, "root", Buffer.alloc(ROOT_BYTES));
    assert.deepEqual(
      [block(root.bytes, 0), block(root.bytes, 100), block(root.bytes, 200)],
      ["aaa", "bbb", "\0\0\0"],
    );
    assert.ok(root.contentBytes < 2 * MIB, `${root.contentBytes} bytes: holes are not read`);
    assert.ok((await reader.byQemu(first, "root")).equals(root.bytes));
    const log = await reader.read("web", first.backupId, "log", Buffer.alloc(RAW_BYTES));
    assert.equal(block(log.bytes, 7), "ccc");
    assert.ok((await reader.byQemu(first, "log")).equals(log.bytes));
    await eventually(async () => (await reader.get("web", first.backupId)).scratchUsedBytes > 65536, {
      what: "the scratch volume to be seen",
    });
    await reader.finish("web", first.backupId);
    assert.deepEqual(await reader.checkpoints("web"), [first.backupId]);
    assert.deepEqual(await reader.files(id), [`socle-${id}-log.raw`, `socle-${id}-root.qcow2`]);
    assert.equal(await reader.job("web"), "none");
    assert.deepEqual(await reader.sockets(), []);

    await write(guest, "vda", "z", 201);
    const second = await reader.begin("web", { baseBackup: first.backupId });
    assert.deepEqual(
      second.disks.map(({ incremental, fullReason }) => [incremental, fullReason]),
      [
        [true, ""],
        [false, "RAW"],
      ],
    );
    const extents = await reader.extents("web", second.backupId, "root");
    assert.deepEqual(
      extents.map(({ offsetBytes, lengthBytes, zero }) => [offsetBytes / 65536, lengthBytes / 65536, zero]),
      [
        [0, 1, false],
        [200, 2, false],
      ],
    );
    const since = await reader.read("web", second.backupId, "root", root.bytes);
    assert.equal(since.contentBytes, 3 * 65536);
    assert.ok((await reader.byQemu(second, "root")).equals(since.bytes));
    await reader.finish("web", second.backupId);
    assert.deepEqual(await reader.checkpoints("web"), [second.backupId]);
    const [newest, ...rest] = await reader.list("web");
    assert.deepEqual(
      [newest?.backupId, newest?.state, rest.length],
      [second.backupId, "BACKUP_STATE_COMPLETE", 0],
    );
    await guest.close();
    await host.remove("web");
    assert.deepEqual(await reader.files(id), []);
  });

  test("a disk that was attached since is full, and so are all after a revert; snapshots keep the increments", async () => {
    const id = await create("chain");
    const guest = await GuestShell.join(libvirt, "chain");
    await write(guest, "vda", "a", 1);
    const first = await reader.begin("chain");
    const base = await reader.read("chain", first.backupId, "root", Buffer.alloc(ROOT_BYTES));
    await reader.finish("chain", first.backupId);

    const { snapshots, vms } = host.client.contract;
    const change = async (operation: Promise<Operation__Output>): Promise<void> => {
      const { error, steps } = await host.end(await operation, 180_000);
      assert.equal(error, null, `${JSON.stringify(error)} ${JSON.stringify(steps)}`);
    };
    const vm = (more: object) => ({ requestId: randomUUID(), vm: "chain", ...more });
    await write(guest, "vda", "b", 2);
    await change(host.client.ask(snapshots.CreateSnapshot, vm({ name: "one" })));
    await write(guest, "vda", "c", 3);
    await change(host.client.ask(vms.AttachDisk, vm({ disk: disk("new", RAW_BYTES) })));
    const second = await reader.begin("chain", { baseBackup: first.backupId });
    assert.deepEqual(
      second.disks.map(({ disk: name, incremental, fullReason }) => [name, incremental, fullReason]),
      [
        ["root", true, ""],
        ["new", false, "NOT_IN_BASE"],
      ],
    );
    const since = await reader.read("chain", second.backupId, "root", base.bytes);
    assert.deepEqual(
      [1, 2, 3].map((at) => block(since.bytes, at)),
      ["aaa", "bbb", "ccc"],
    );
    assert.ok((await reader.byQemu(second, "root")).equals(since.bytes));
    await reader.finish("chain", second.backupId);

    await write(guest, "vda", "d", 4);
    await change(host.client.ask(snapshots.DeleteSnapshot, vm({ snapshot: "one" })));
    await write(guest, "vda", "e", 5);
    const third = await reader.begin("chain", { baseBackup: second.backupId });
    const merged = await reader.read("chain", third.backupId, "root", since.bytes);
    assert.deepEqual(
      [3, 4, 5].map((at) => block(merged.bytes, at)),
      ["ccc", "ddd", "eee"],
    );
    assert.ok((await reader.byQemu(third, "root")).equals(merged.bytes));
    await reader.finish("chain", third.backupId);

    await change(host.client.ask(snapshots.CreateSnapshot, vm({ name: "two" })));
    await guest.close();
    await change(host.client.ask(snapshots.RevertSnapshot, vm({ snapshot: "two", force: true })));
    await assert.rejects(reader.beginning("chain", { baseBackup: third.backupId }), {
      reason: "BACKUP_BASE_UNKNOWN",
    });
    assert.deepEqual(await reader.list("chain"), []);
    await reader.finish("chain", (await reader.begin("chain")).backupId);
    await host.remove("chain");
    assert.deepEqual(await reader.files(id), []);
  });

  test("a stopped VM is read by a QEMU that runs no guest, and may be started in it", async () => {
    const id = await create("off", undefined, true);
    const file = join(host.libvirtd.imagesDirectory, `socle-${id}-root.qcow2`);
    await run("qemu-io", ["-c", "write -P 113 65536 65536", file]);
    const first = await reader.begin("off");
    assert.equal(await host.virsh("domstate", "off"), "paused");
    const { bytes } = await reader.read("off", first.backupId, "root", Buffer.alloc(ROOT_BYTES));
    assert.equal(block(bytes, 1), "qqq");
    await reader.finish("off", first.backupId);
    assert.equal(await host.virsh("domstate", "off"), "shut off");
    assert.deepEqual(await reader.files(id), [`socle-${id}-root.qcow2`]);

    const second = await reader.begin("off", { baseBackup: first.backupId });
    assert.deepEqual(await reader.extents("off", second.backupId, "root"), []);
    const { vms } = host.client.contract;
    const started = await host.end(
      await host.client.ask(vms.StartVm, { requestId: randomUUID(), vm: "off" }),
    );
    assert.equal(started.error, null);
    // From now on its disks are not restored.
    assert.doesNotMatch(await host.virsh("metadata", "off", "urn:socle:vm:1"), /unstarted/);
    const guest = await GuestShell.join(libvirt, "off");
    await write(guest, "vda", "w", 2);
    assert.deepEqual(await reader.extents("off", second.backupId, "root"), [], "the instant was before");
    await reader.finish("off", second.backupId);
    assert.equal(await host.virsh("domstate", "off"), "running");
    const third = await reader.begin("off", { baseBackup: second.backupId });
    const since = await reader.read("off", third.backupId, "root", bytes);
    assert.equal(block(since.bytes, 2), "www");
    await reader.finish("off", third.backupId, false);
    assert.deepEqual(await reader.checkpoints("off"), [second.backupId], "the base stays");
    assert.equal((await reader.list("off"))[0]?.backupId, second.backupId);
    await guest.close();

    // libvirt refuses to switch the disks of a stopped VM that has checkpoints.
    await host.end(await host.client.ask(vms.StopVm, { requestId: randomUUID(), vm: "off", force: true }));
    const made = await host.client.ask(host.client.contract.snapshots.CreateSnapshot, {
      requestId: randomUUID(),
      vm: "off",
      name: "one",
    });
    assert.equal((await host.end(made)).error, null);
    const fourth = await reader.begin("off", { baseBackup: second.backupId });
    assert.deepEqual(
      fourth.disks.map(({ incremental, fullReason }) => [incremental, fullReason]),
      [[false, "BITMAP_LOST"]],
    );
    const all = await reader.read("off", fourth.backupId, "root", Buffer.alloc(ROOT_BYTES));
    assert.deepEqual([block(all.bytes, 1), block(all.bytes, 2)], ["qqq", "www"]);
    await reader.finish("off", fourth.backupId);
    await host.remove("off");
  });

  test("other changes of the disks are refused while a backup is open, and a stop or a deletion ends it", async () => {
    const id = await create("busy", [disk("root", ROOT_BYTES), disk("log", RAW_BYTES, "RAW")]);
    const { backupId } = await reader.begin("busy", { disks: ["root"] });
    const { snapshots, vms } = host.client.contract;
    const vm = (more: object = {}) => ({ requestId: randomUUID(), vm: "busy", ...more });
    const open = { reason: "BACKUP_OPEN", message: new RegExp(backupId) };
    await assert.rejects(host.client.ask(snapshots.CreateSnapshot, vm({ name: "one" })), open);
    await assert.rejects(host.client.ask(vms.SuspendVm, vm()), open);
    const larger = { disk: "root", capacityBytes: 2 * ROOT_BYTES };
    await assert.rejects(host.client.ask(vms.ResizeDisk, vm(larger)), open);
    await assert.rejects(reader.beginning("busy"), open);
    const other = await host.client.ask(vms.ResizeDisk, vm({ disk: "log", capacityBytes: 2 * RAW_BYTES }));
    assert.equal((await host.end(other)).error, null, "a disk that is not in the backup is enlarged");
    await assert.rejects(reader.extents("busy", backupId, "log"), { reason: "DISK_NOT_IN_BACKUP" });
    await assert.rejects(reader.extents("busy", "0123456789abcdef", "root"), { reason: "BACKUP_NOT_FOUND" });

    const stopped = await host.client.ask(vms.StopVm, vm({ force: true, gracefulTimeout: { seconds: 0 } }));
    assert.equal((await host.end(stopped)).error, null);
    await eventually(async () => (await reader.list("busy")).length === 0, {
      what: "the backup to be abandoned",
    });
    await assert.rejects(reader.finishing("busy", backupId, true), { reason: "BACKUP_NOT_FOUND" });
    assert.deepEqual(await reader.files(id), [`socle-${id}-log.raw`, `socle-${id}-root.qcow2`]);
    const events = host.client.watch(host.client.contract.events.Subscribe, {
      kinds: ["EVENT_KIND_VM_BACKUP_ABANDONED"],
    });
    for await (const event of events) {
      assert.deepEqual(
        [event.vmName, event.reason, event.details["backup"]],
        ["busy", "QEMU_GONE", backupId],
      );
      break;
    }

    // Its checkpoint is deleted once there is a QEMU again.
    assert.deepEqual(await reader.checkpoints("busy"), [backupId]);
    const next = await reader.begin("busy");
    assert.deepEqual(await reader.checkpoints("busy"), [next.backupId]);
    assert.equal((await host.remove("busy")).error, null);
    assert.deepEqual(await reader.files(id), []);
    assert.deepEqual(await reader.sockets(), []);
  });

  test("a backup whose scratch volume outgrows its bound is abandoned, and the guest runs on", async () => {
    const id = await create("full", [disk("root", 64 * MIB)]);
    const guest = await GuestShell.join(libvirt, "full");
    await write(guest, "vda", "o", 0, 512);
    const { backupId } = await reader.begin("full", { scratchBytes: 4 * MIB });
    await write(guest, "vda", "n", 0, 512);
    await eventually(async () => (await reader.list("full")).length === 0, {
      what: "the backup to be abandoned",
    });
    await write(guest, "vda", "m", 0, 16);
    assert.equal(await host.virsh("domstate", "full"), "running");
    assert.deepEqual(await reader.files(id), [`socle-${id}-root.qcow2`]);
    assert.deepEqual(await reader.checkpoints("full"), []);
    await assert.rejects(reader.get("full", backupId), { reason: "BACKUP_NOT_FOUND" });
    await guest.close();
    await host.remove("full");
  });
});
