// Moves of disks between pools, with a guest that writes meanwhile; the bytes are compared by qemu-img.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readdir, rm, rmdir, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { domainBlockCopy, DomainBlockCopyFlags } from "../../agent/libvirt/index.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { leaveNodes } from "../support/left-nodes.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
import { linux, MIB, requestId, VmStage, type Rig } from "./vms-stage.ts";

const run = promisify(execFile);

suite("moves of disks over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let rig: Rig;
  /** Of the pool "other". */
  let other: string;
  /** A filesystem of 24 MiB, in this process's mount namespace and in that of the guests: the pool "small". */
  let small: string;

  before(async () => {
    small = await mkdtemp(join(tmpdir(), "socle-small-"));
    await run("mount", ["-t", "tmpfs", "-o", "size=24m,mode=755", "socle-test", small]);
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
    other = join(libvirtd.directory, "other");
    await mkdir(other, { mode: 0o755 });
    for (const [name, path] of [
      ["other", other],
      ["small", small],
    ] as const)
      await virsh(libvirtd.uri, ["pool-create-as", name, "dir", "--target", path]);
  });
  after(async () => {
    await stage.stop();
    await run("umount", ["--lazy", small]);
    await rmdir(small);
  });

  const to = (vm: string) => ({ requestId: requestId(), vm });
  const beginMove = (vm: string, disk: string, pool: string, more: object = {}) =>
    rig.vms.begin("MOVE_DISK", { ...to(vm), disk, pool, ...more }, "tester");
  const move = (vm: string, disk: string, pool: string) => rig.succeeds(beginMove(vm, disk, pool));
  const drop = (vm: string) =>
    rig.succeeds(rig.vms.begin("DELETE_VM", { ...to(vm), keepDisks: false, force: true }, "tester"));
  const data = (more: object = {}) => ({
    name: "data",
    source: { kind: "new", pool: "images", capacityBytes: 64 * MIB, ...more },
  });
  const create = async (name: string, disk: object, leaveStopped = false): Promise<string> => {
    const request = { ...linux(name, { disks: [disk] }), leaveStopped };
    return (await rig.succeeds(rig.vms.create(request, "tester"))).vmId;
  };
  const files = async (directory: string): Promise<string[]> =>
    (await readdir(directory)).filter((name) => name.startsWith("socle-"));
  /** The paths of the disk in the guest or the definition, by virsh. */
  const pathOf = async (vm: string, ...as: string[]): Promise<string> =>
    /vda\s+(\S+)/.exec(await virsh(libvirtd.uri, ["domblklist", vm, ...as]))?.[1] ?? assert.fail("no disk");
  /** An operation's end does not wait for libvirt's event of its last note. */
  const untilUnnoted = (vm: string) =>
    eventually(() => rig.table.get(vm)?.snapshots === undefined, { what: "the note of volumes to be gone" });
  const poolInSpec = (vm: string): string => {
    const source = rig.table.get(vm)?.spec?.disks[0]?.source;
    return source?.kind === "new" ? source.pool : assert.fail("no disk in the spec");
  };
  const identical = async (one: string, two: string): Promise<void> => {
    const { stdout } = await run("qemu-img", ["compare", "-U", one, two]);
    assert.match(stdout, /identical/);
  };
  const write = async (path: string, mib: number, pattern = 0x5a): Promise<void> => {
    await run("qemu-io", ["-f", "qcow2", "-c", `write -P ${pattern} 0 ${mib}M`, path]);
  };

  /** Changes the requests for copies, until the function that it returns is called. */
  const changeCopies = (change: (args: { readonly flags: number }) => object): (() => void) => {
    const { libvirt } = rig;
    const call = libvirt.call.bind(libvirt);
    const changed = (procedure: { readonly name: string }, args: never, options: never) =>
      call(
        procedure as never,
        (procedure.name === domainBlockCopy.name ? change(args) : args) as never,
        options,
      );
    Object.assign(libvirt, { call: changed });
    return () => void Object.assign(libvirt, { call });
  };

  test("block nodes that a libvirt which died left in QEMU do not stop a move", async () => {
    const vm = await create("left", data());
    await leaveNodes(libvirtd.uri, vm, 2);
    await move(vm, "data", "other");
    assert.equal(await pathOf(vm), join(other, `socle-${vm}-data.qcow2`));
    assert.deepEqual(await files(libvirtd.imagesDirectory), []);
    await drop(vm);
  });

  test("a running guest's disk moves while it writes, and is whole in the new pool", async () => {
    const vm = await create("writer", data());
    const guest = await GuestShell.join(rig.libvirt, "writer");
    const name = `socle-${vm}-data.qcow2`;
    await guest.run("dd if=/dev/urandom of=/dev/vda bs=1M count=48 conv=fsync 2>/dev/null");
    // Each round writes the number of the round to its place, and to the first block.
    await guest.run(
      "( (n=0; while [ ! -e /run/enough ]; do n=$((n+1)); printf '%-512s' round-$n | dd of=/dev/vda bs=512 seek=$((n * 8)) conv=notrunc,fsync 2>/dev/null; echo $n >/run/last; done) & )",
    );
    const { result } = await move(vm, "data", "other");
    assert.deepEqual([result["pool"], result["flattened"]], ["other", "false"]);
    assert.deepEqual(
      [await pathOf(vm), await pathOf(vm, "--inactive"), poolInSpec(vm)],
      [join(other, name), join(other, name), "other"],
    );
    assert.deepEqual([await files(libvirtd.imagesDirectory), await files(other)], [[], [name]]);
    const reached = Number(await guest.run("cat /run/last"));
    await guest.run("touch /run/enough; sleep 1; sync");
    const last = Number(await guest.run("cat /run/last"));
    assert.ok(last >= reached && last > 1, `${reached} ${last}`);
    const digest = (await guest.run("echo 3 >/proc/sys/vm/drop_caches; sha256sum /dev/vda")).slice(0, 64);
    await guest.close();
    const raw = join(libvirtd.directory, "moved.raw");
    await run("qemu-img", ["convert", "-U", "-O", "raw", join(other, name), raw]);
    const { stdout } = await run("sha256sum", [raw]);
    assert.equal(stdout.slice(0, 64), digest);
    const bytes = (await run("grep", ["-c", "-a", `round-${last} `, raw])).stdout;
    assert.equal(Number(bytes), 1, "the last write is in the new file");
    await rm(raw);
    await untilUnnoted(vm);
    // Another client's definition names the file in another way, before and during the move: libvirt does not record the
    // switch in it.
    const alias = join(libvirtd.directory, "alias");
    await symlink(other, alias);
    const document = join(libvirtd.directory, "moved.xml");
    const define = async (path: string): Promise<void> => {
      const now = await virsh(libvirtd.uri, ["dumpxml", vm, "--inactive"]);
      await writeFile(document, now.replace(/(?<=file=['"])[^'"]+(?=\/socle-)/, path));
      await virsh(libvirtd.uri, ["define", document]);
      assert.equal(await pathOf(vm, "--inactive"), join(path, name));
    };
    await define(alias);
    const refused = await rig.done(await beginMove(vm, "data", "images"));
    assert.equal(refused.error?.reason, "DISKS_REPLACED");
    assert.deepEqual([await files(libvirtd.imagesDirectory), await files(other)], [[], [name]]);
    await define(other);
    // And back, as for a guest that writes faster than the copy.
    const { SYNCHRONOUS_WRITES } = DomainBlockCopyFlags;
    const bandwidth = { field: "bandwidth", value: { type: "ullong", value: MIB } };
    const restore = changeCopies((args) => ({
      ...args,
      params: [bandwidth],
      flags: args.flags | SYNCHRONOUS_WRITES,
    }));
    const moving = await beginMove(vm, "data", "images");
    await eventually(
      async () => /type=Block Copy/.test(await virsh(libvirtd.uri, ["blockjob", vm, "vda", "--raw"])),
      { what: "the copy to begin", intervalMs: 50 },
    );
    await define(alias);
    await virsh(libvirtd.uri, ["blockjob", vm, "vda", "--bandwidth", "1000"]);
    const { error, result: back } = await rig.done(moving);
    assert.equal(error, undefined);
    restore();
    const path = join(libvirtd.imagesDirectory, name);
    assert.deepEqual([await pathOf(vm), await pathOf(vm, "--inactive")], [path, path]);
    assert.equal(back["old_volume"], undefined);
    assert.deepEqual([await files(libvirtd.imagesDirectory), await files(other)], [[name], []]);
    await drop(vm);
    assert.deepEqual([await files(libvirtd.imagesDirectory), await files(other)], [[], []]);
  });

  test("a stopped VM's disk over a base volume moves, and needs the base no more", async () => {
    const base = join(libvirtd.imagesDirectory, "base.qcow2");
    await run("qemu-img", ["create", "-q", "-f", "qcow2", base, "64M"]);
    await write(base, 8, 0x11);
    await virsh(libvirtd.uri, ["pool-refresh", "images"]);
    const vm = await create("overlay", data({ baseVolume: "base.qcow2" }), true);
    const before = await pathOf(vm);
    await run("qemu-io", ["-f", "qcow2", "-c", "write -P 0x22 4M 8M", before]);
    const kept = join(libvirtd.imagesDirectory, "kept.qcow2");
    await copyFile(before, kept);
    const plan = await beginMove(vm, "data", "other", { validateOnly: true });
    assert.deepEqual([plan.result["flattened"], plan.result["from"]], ["true", "images"]);
    assert.equal(await pathOf(vm), before);
    const { result } = await move(vm, "data", "other");
    assert.deepEqual([result["flattened"], result["old_volume"]], ["true", undefined]);
    const after = await pathOf(vm);
    assert.equal(after, join(other, `socle-${vm}-data.qcow2`));
    await identical(kept, after);
    const { stdout } = await run("qemu-img", ["info", "--output=json", after]);
    assert.doesNotMatch(stdout, /backing-filename/);
    assert.equal(rig.table.get(vm)?.state, "stopped");
    assert.deepEqual(await files(libvirtd.imagesDirectory), []);
    await rm(base);
    await rm(kept);
    await virsh(libvirtd.uri, ["pool-refresh", "images"]);
    await rig.succeeds(rig.vms.begin("START_VM", { ...to(vm), placementEpoch: 0 }, "tester"));
    await drop(vm);
    assert.deepEqual(await files(other), []);
  });

  test("a full pool fails the move, and the disk stays where it was", async () => {
    const vm = await create("full", data());
    const guest = await GuestShell.join(rig.libvirt, "full");
    await guest.run("dd if=/dev/urandom of=/dev/vda bs=1M count=40 conv=fsync 2>/dev/null");
    const before = await pathOf(vm);
    // The pool has the room that a thin volume must have; the copy fills it.
    const operation = await rig.done(await beginMove(vm, "data", "small"));
    assert.ok(["MOVE_FAILED", "POOL_FULL"].includes(operation.error?.reason ?? ""), operation.error?.message);
    assert.deepEqual(
      [await pathOf(vm), await pathOf(vm, "--inactive"), poolInSpec(vm)],
      [before, before, "images"],
    );
    assert.deepEqual(await files(small), []);
    await untilUnnoted(vm);
    await guest.run("echo more | dd of=/dev/vda conv=notrunc,fsync 2>/dev/null");
    await guest.close();
    await drop(vm);
  });

  test("a cancelled move and a forced stop leave the disk where it was", async () => {
    const vm = await create("cancelled", data());
    const before = await pathOf(vm);
    const guest = await GuestShell.join(rig.libvirt, "cancelled");
    await guest.run("dd if=/dev/urandom of=/dev/vda bs=1M count=60 conv=fsync 2>/dev/null");
    await guest.close();
    // One MiB a second, so that the copy is caught in it.
    const bandwidth = { field: "bandwidth", value: { type: "ullong", value: MIB } };
    const restore = changeCopies((args) => ({ ...args, params: [bandwidth] }));
    const slowed = async (begin: () => ReturnType<typeof beginMove>) => {
      const operation = await begin();
      await eventually(
        async () => /type=Block Copy/.test(await virsh(libvirtd.uri, ["blockjob", vm, "vda", "--raw"])),
        { what: "the copy to begin", intervalMs: 50 },
      );
      return operation;
    };
    const cancelled = await slowed(() => beginMove(vm, "data", "other"));
    rig.operations.cancel(cancelled.id, "tester");
    assert.equal((await rig.done(cancelled)).state, "cancelled");
    assert.deepEqual([await pathOf(vm), poolInSpec(vm), await files(other)], [before, "images", []]);
    assert.doesNotMatch(await virsh(libvirtd.uri, ["dumpxml", vm]), /<mirror /);

    const cut = await slowed(() => beginMove(vm, "data", "other"));
    const stop = rig.vms.begin("STOP_VM", { ...to(vm), force: true, gracefulTimeoutMs: 0 }, "tester");
    assert.equal((await rig.done(cut)).error?.reason, "MOVE_CUT_SHORT");
    await rig.succeeds(stop);
    assert.deepEqual([await pathOf(vm), poolInSpec(vm), await files(other)], [before, "images", []]);
    await untilUnnoted(vm);
    restore();
    await drop(vm);
  });

  test("what cannot be moved is refused with its field", async () => {
    const vm = await create("refused", data(), true);
    await assert.rejects(beginMove(vm, "data", "images"), { reason: "UPDATE_EMPTY" });
    await assert.rejects(beginMove(vm, "data", "nowhere"), { reason: "POOL_NOT_FOUND" });
    await assert.rejects(beginMove(vm, "none", "other"), { reason: "DISK_NOT_FOUND" });
    await assert.rejects(beginMove(vm, "data", "../other"), { reason: "SPEC_INVALID" });
    const name = "one";
    const snapshot = { ...to(vm), name, quiesce: false };
    await rig.succeeds(rig.vms.begin("CREATE_SNAPSHOT", snapshot, "tester"));
    await assert.rejects(beginMove(vm, "data", "other"), { reason: "DISK_HAS_SNAPSHOTS" });
    await rig.succeeds(rig.vms.begin("DELETE_SNAPSHOT", { ...to(vm), snapshot: name }, "tester"));
    await move(vm, "data", "other");
    await drop(vm);
    assert.deepEqual(await files(other), []);
  });
});
