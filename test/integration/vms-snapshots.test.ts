import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { GuestShell } from "../support/guest-shell.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { linux, MIB, requestId, VmStage, type Rig } from "./vms-stage.ts";

/** Numbered blocks of one text each. */
const write = (at: number, text: string, disk = "vda"): string =>
  `printf '%-16s' ${text} | dd of=/dev/${disk} bs=16 seek=${at * 4096} conv=notrunc,fsync 2>/dev/null; sync`;
const read = (at: number, disk = "vda"): string =>
  `echo 1 >/proc/sys/vm/drop_caches; dd if=/dev/${disk} bs=16 skip=${at * 4096} count=1 2>/dev/null | tr -d '\\0'; echo`;

suite("snapshots over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 600_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let rig: Rig;

  before(async () => {
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
  });
  after(() => stage.stop());

  const to = (vm: string) => ({ requestId: requestId(), vm });
  const beginSnapshot = (vm: string, name: string, more: object = {}) =>
    rig.vms.begin("CREATE_SNAPSHOT", { ...to(vm), name, quiesce: false, ...more }, "tester");
  const beginRemoval = (vm: string, name: string) =>
    rig.vms.begin("DELETE_SNAPSHOT", { ...to(vm), snapshot: name }, "tester");
  const beginRevert = (vm: string, name: string, force = false) =>
    rig.vms.begin("REVERT_SNAPSHOT", { ...to(vm), snapshot: name, force }, "tester");
  const snapshot = (vm: string, name: string) => rig.succeeds(beginSnapshot(vm, name));
  const remove = (vm: string, name: string) => rig.succeeds(beginRemoval(vm, name));
  const start = (vm: string) =>
    rig.succeeds(rig.vms.begin("START_VM", { ...to(vm), placementEpoch: 0 }, "tester"));
  const disks = (format = "qcow2") => [
    { name: "root", source: { kind: "new", pool: "images", capacityBytes: 16 * MIB, format } },
    { name: "data", source: { kind: "new", pool: "images", capacityBytes: 8 * MIB } },
  ];
  const files = async (): Promise<string[]> =>
    (await readdir(libvirtd.imagesDirectory)).filter((name) => name.startsWith("socle-"));
  /** The files of a disk by qemu-img, the top first. */
  const chain = async (vm: string, device: string): Promise<string[]> => {
    const path = (await virsh(libvirtd.uri, ["domblklist", vm])).match(
      new RegExp(`${device}\\s+(\\S+)`),
    )?.[1];
    const { stdout } = await promisify(execFile)("qemu-img", [
      "info",
      "-U",
      "--backing-chain",
      "--output=json",
      path ?? assert.fail(),
    ]);
    return (JSON.parse(stdout) as { filename: string }[]).map(
      ({ filename }) => filename.split("/").at(-1) ?? "",
    );
  };
  const create = async (name: string, changes: object = {}): Promise<string> => {
    const request = linux(name, { disks: disks(), ...changes });
    return (await rig.succeeds(rig.vms.create(request, "tester"))).vmId;
  };
  const drop = (vm: string) =>
    rig.succeeds(rig.vms.begin("DELETE_VM", { ...to(vm), keepDisks: false, force: true }, "tester"));

  test("a running guest's disks are kept, merged back and reverted, and its data is as at each snapshot", async () => {
    const vm = await create("web");
    const guest = await GuestShell.join(rig.libvirt, "web");
    await guest.run(write(0, "first"));
    await guest.run(write(0, "first-data", "vdb"));
    await snapshot(vm, "one");
    await guest.run(write(0, "second"));
    await guest.run(write(0, "second-data", "vdb"));
    await guest.run(write(1, "kept"));
    await snapshot(vm, "two");
    await guest.run(write(0, "third"));
    await snapshot(vm, "three");
    await guest.run(write(0, "fourth"));
    assert.equal((await chain("web", "vda")).length, 4);
    assert.equal((await files()).length, 8);
    const listed = rig.table.get(vm)?.snapshots?.snapshots.map(({ name }) => name);
    assert.deepEqual(listed, ["one", "two", "three"]);

    // One in the middle, then the newest.
    await remove(vm, "two");
    assert.equal((await chain("web", "vda")).length, 3);
    assert.match(await guest.run(read(0)), /fourth/);
    await remove(vm, "three");
    assert.equal((await chain("web", "vda")).length, 2);
    assert.equal((await files()).length, 4);
    assert.match(await guest.run(read(0)), /fourth/);
    assert.match(await guest.run(read(1)), /kept/);
    assert.match(await guest.run(read(0, "vdb")), /second-data/);
    await guest.close();

    await assert.rejects(beginRevert(vm, "one"), {
      reason: "VM_RUNNING",
    });
    const { result } = await rig.succeeds(beginRevert(vm, "one", true));
    assert.equal(result?.["restarted"], "true");
    const again = await GuestShell.join(rig.libvirt, "web");
    assert.match(await again.run(read(0)), /first/);
    assert.doesNotMatch(await again.run(read(1)), /kept/);
    assert.match(await again.run(read(0, "vdb")), /first-data/);
    await again.close();
    assert.equal((await files()).length, 4);
    await remove(vm, "one");
    const [only] = await chain("web", "vda");
    assert.equal(only, `socle-${vm}-root.qcow2`);
    assert.equal((await files()).length, 2);
    assert.equal(rig.table.get(vm)?.snapshots, undefined);
    await drop(vm);
    assert.deepEqual(await files(), []);
  });

  test("a stopped VM's snapshots are made, reverted to and deleted without a run of its guest", async () => {
    const request = { ...linux("off", { disks: disks("raw") }), leaveStopped: true };
    const { vmId: vm } = await rig.succeeds(rig.vms.create(request, "tester"));
    await snapshot(vm, "one");
    await snapshot(vm, "two");
    assert.equal((await chain("off", "vda")).length, 3);
    await rig.succeeds(beginRevert(vm, "one"));
    assert.equal((await chain("off", "vda")).length, 2);
    await assert.rejects(beginRemoval(vm, "one"), {
      reason: "SNAPSHOT_HAS_BRANCHES",
      message: /delete first two/,
    });
    await remove(vm, "two");
    await remove(vm, "one");
    assert.deepEqual(await chain("off", "vda"), [`socle-${vm}-root.raw`]);
    assert.equal((await files()).length, 2);
    assert.equal(rig.table.get(vm)?.state, "stopped");
    // No guest has run: the address of the disk in the guest is the same, and it boots.
    await start(vm);
    await drop(vm);
    assert.deepEqual(await files(), []);
    assert.doesNotMatch(await virsh(libvirtd.uri, ["list", "--all", "--name"]), /off/);
  });
});
