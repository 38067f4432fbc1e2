import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { GuestShell } from "../support/guest-shell.ts";
import { leaveNodes } from "../support/left-nodes.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
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

  /** A filesystem of 48 MiB, in this process's mount namespace and in that of the guests. */
  let small: string;

  before(async () => {
    small = await mkdtemp(join(tmpdir(), "socle-small-"));
    await promisify(execFile)("mount", ["-t", "tmpfs", "-o", "size=48m,mode=755", "socle-test", small]);
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
  });
  after(async () => {
    await stage.stop();
    await promisify(execFile)("umount", ["--lazy", small]);
    await rmdir(small);
  });

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
  /** An operation's end does not wait for libvirt's event of its last note. */
  const untilUnnoted = (vm: string) =>
    eventually(() => rig.table.get(vm)?.snapshots === undefined, { what: "the note of volumes to be gone" });
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

  test("block nodes that a libvirt which died left in QEMU stop neither a snapshot nor a disk", async () => {
    const vm = await create("left", { disks: disks().slice(0, 1) });
    // As many as of a VM with six disks.
    await leaveNodes(libvirtd.uri, vm, 6);
    const file = join(libvirtd.imagesDirectory, "refused.qcow2");
    const byVirsh = virsh(libvirtd.uri, [
      ...["snapshot-create-as", "left", "--disk-only", "--no-metadata"],
      ...["--diskspec", `vda,file=${file}`],
    ]);
    await assert.rejects(byVirsh, /Duplicate nodes/);
    await snapshot(vm, "one");
    assert.equal((await chain("left", "vda")).length, 2);
    await leaveNodes(libvirtd.uri, vm, 1);
    const more = { name: "more", source: { kind: "new", pool: "images", capacityBytes: 8 * MIB } };
    await rig.succeeds(rig.vms.begin("ATTACH_DISK", { ...to(vm), disk: more }, "tester"));
    assert.equal((await chain("left", "vdb")).length, 1);
    await drop(vm);
    assert.deepEqual(await files(), []);
  });

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
    assert.equal(result["restarted"], "true");
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
    await untilUnnoted(vm);
    await drop(vm);
    assert.deepEqual(await files(), []);
  });

  test("a stopped VM's snapshots are made, reverted to and deleted without a run of its guest", async () => {
    const request = { ...linux("off", { disks: disks() }), leaveStopped: true };
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
    assert.deepEqual(await chain("off", "vda"), [`socle-${vm}-root.qcow2`]);
    assert.equal((await files()).length, 2);
    assert.equal(rig.table.get(vm)?.state, "stopped");
    // No guest has run: the address of the disk in the guest is the same, and it boots.
    await start(vm);
    await drop(vm);
    assert.deepEqual(await files(), []);
    assert.doesNotMatch(await virsh(libvirtd.uri, ["list", "--all", "--name"]), /off/);
  });

  test("what cannot be kept is refused with its field and the way out, and nothing is made", async () => {
    const stopped = async (name: string, disk: object, more: object = {}): Promise<string> => {
      const spec = { ...more, disks: [{ name: "root", ...disk }] };
      const request = { ...linux(name, spec), leaveStopped: true };
      return (await rig.succeeds(rig.vms.create(request, "tester"))).vmId;
    };
    await virsh(libvirtd.uri, ["vol-create-as", "images", "shared.qcow2", "1M", "--format", "qcow2"]);
    const source = { kind: "volume", volume: { pool: "images", volume: "shared.qcow2" } };
    const named = await stopped("named", { source });
    const plain = await stopped("plain", { source: { kind: "new", pool: "images", capacityBytes: MIB } });
    const before = await files();
    await assert.rejects(beginSnapshot(named, "one"), {
      reason: "SNAPSHOT_UNSUPPORTED",
      message: /detach it first/,
    });
    await assert.rejects(beginSnapshot(plain, "../one"), { reason: "SPEC_INVALID" });
    await assert.rejects(beginSnapshot(plain, "one", { quiesce: true }), {
      reason: "GUEST_AGENT_NOT_CONFIGURED",
    });
    const planned = await beginSnapshot(plain, "one", { validateOnly: true });
    assert.deepEqual(planned.result, {
      validated: "true",
      snapshot: "one",
      disks: "root",
      quiesced: "false",
      may_grow_by_bytes: String(MIB),
    });
    assert.deepEqual(await files(), before);

    await snapshot(plain, "one");
    await assert.rejects(beginSnapshot(plain, "one"), { reason: "SNAPSHOT_EXISTS" });
    await assert.rejects(beginRevert(plain, "none"), { reason: "SNAPSHOT_NOT_FOUND", message: /it has one/ });
    const detach = { ...to(plain), disk: "root", deleteVolume: true };
    await assert.rejects(rig.vms.begin("DETACH_DISK", detach, "tester"), { reason: "DISK_HAS_SNAPSHOTS" });
    await assert.rejects(
      rig.vms.begin("DELETE_VM", { ...to(plain), keepDisks: true, force: true }, "tester"),
      { reason: "VM_HAS_SNAPSHOTS" },
    );
    // A disk that came later is in no snapshot; one that grew keeps its size.
    const disk = { name: "later", source: { kind: "new", pool: "images", capacityBytes: MIB } };
    await rig.succeeds(rig.vms.begin("ATTACH_DISK", { ...to(plain), disk }, "tester"));
    await assert.rejects(beginRevert(plain, "one"), { reason: "SNAPSHOT_DISKS_DIFFER", message: /later/ });
    const remove = { ...to(plain), disk: "later", deleteVolume: true };
    await rig.succeeds(rig.vms.begin("DETACH_DISK", remove, "tester"));
    const grow = { ...to(plain), disk: "root", capacityBytes: 2 * MIB };
    await rig.succeeds(rig.vms.begin("RESIZE_DISK", grow, "tester"));
    await rig.succeeds(beginRevert(plain, "one"));
    assert.match(await virsh(libvirtd.uri, ["domblkinfo", "plain", "vda"]), /Capacity: +2097152/);
    for (let count = 2; count <= 16; count += 1) await snapshot(plain, `s${count}`);
    await assert.rejects(beginSnapshot(plain, "s17"), { reason: "SNAPSHOT_LIMIT_REACHED" });
    // All layers go with the VM, and an erasure overwrites them all.
    assert.equal((await files()).length, 17);
    const erase = { ...to(plain), keepDisks: false, eraseDisks: true, force: true };
    const { result } = await rig.succeeds(rig.vms.begin("DELETE_VM", erase, "tester"));
    assert.equal(result["volumes_deleted"], "17");
    assert.deepEqual(await files(), []);
    await drop(named);
  });

  test("a full pool refuses a snapshot, and a merge that it stops is repeated without a loss", async () => {
    const directory = small;
    await virsh(libvirtd.uri, ["pool-create-as", "small", "dir", "--target", directory]);
    const fill = (mib: number) =>
      libvirtd.run("sh", ["-c", `head -c ${mib}M /dev/zero >${directory}/filler; true`]);
    const empty = () => libvirtd.run("rm", ["-f", `${directory}/filler`]);
    const size = 16 * MIB;
    const source = { kind: "new", pool: "small", capacityBytes: size };
    const request = { ...linux("full", { disks: [{ name: "root", source }] }), leaveStopped: true };
    const { vmId: vm } = await rig.succeeds(rig.vms.create(request, "tester"));
    const listed = async () => await libvirtd.run("ls", [directory]);
    await fill(40);
    const before = await listed();
    const refused = await rig.done(await beginSnapshot(vm, "one"));
    assert.equal(refused.error?.reason, "POOL_FULL");
    assert.equal(await listed(), before);
    await untilUnnoted(vm);
    await empty();

    await snapshot(vm, "one");
    const path = `${directory}/socle-${vm}-root.${rig.table.get(vm)?.snapshots?.current ?? ""}.qcow2`;
    await libvirtd.run("qemu-io", ["-c", "write -P 7 0 12M", path]);
    const digest = async (file: string) => {
      const raw = join(libvirtd.directory, "digest.raw");
      await libvirtd.run("qemu-img", ["convert", "-O", "raw", file, raw]);
      return (await libvirtd.run("sha256sum", [raw])).split(" ")[0];
    };
    const written = await digest(path);
    await fill(48);
    const stopped = await rig.done(await beginRemoval(vm, "one"));
    assert.equal(stopped.error?.reason, "MERGE_FAILED", JSON.stringify(stopped.steps));
    assert.equal(rig.table.get(vm)?.state, "stopped");
    await assert.rejects(beginRevert(vm, "one"), { reason: "SNAPSHOT_BEING_DELETED" });
    assert.equal(await digest(path), written);
    await empty();
    await remove(vm, "one");
    assert.equal(await digest(`${directory}/socle-${vm}-root.qcow2`), written);
    await drop(vm);
    await virsh(libvirtd.uri, ["pool-destroy", "small"]);
  });

  test("a forced stop ends a merge that goes on, and the next deletion completes it", async () => {
    const source = { kind: "new", pool: "images", capacityBytes: 512 * MIB };
    const request = { ...linux("cut", { disks: [{ name: "root", source }] }), leaveStopped: true };
    const { vmId: vm } = await rig.succeeds(rig.vms.create(request, "tester"));
    await snapshot(vm, "one");
    const id = rig.table.get(vm)?.snapshots?.current ?? "";
    const image = (name: string) => join(libvirtd.imagesDirectory, name);
    await libvirtd.run("qemu-io", ["-c", "write -P 9 0 400M", image(`socle-${vm}-root.${id}.qcow2`)]);
    const removal = await beginRemoval(vm, "one");
    await eventually(async () => (await virsh(libvirtd.uri, ["domstate", "cut"])) === "paused", {
      what: "the QEMU of the merge",
      intervalMs: 5,
    });
    const stop = { ...to(vm), gracefulTimeoutMs: 0, force: true };
    await rig.succeeds(rig.vms.begin("STOP_VM", stop, "tester"));
    const cut = await rig.done(removal);
    assert.equal(cut.error?.reason, "MERGE_CUT_SHORT", JSON.stringify(cut.steps));
    assert.equal(await virsh(libvirtd.uri, ["domstate", "cut"]), "shut off");
    await assert.rejects(beginRevert(vm, "one"), { reason: "SNAPSHOT_BEING_DELETED" });
    await remove(vm, "one");
    const first = image(`socle-${vm}-root.qcow2`);
    assert.match(await libvirtd.run("qemu-io", ["-c", "read -P 9 0 400M", first]), /^read 419430400/m);
    assert.doesNotMatch(await libvirtd.run("qemu-io", ["-c", "read -P 9 0 400M", first]), /failed/);
    await drop(vm);
  });
});
