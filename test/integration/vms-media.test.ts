// CD-ROM drives and their media, in a guest that mounts them, over virsh.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { isoImage } from "../../agent/vm/storage/iso9660.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { leaveNodes } from "../support/left-nodes.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
import { linux, MIB, requestId, VmStage, type Rig } from "./vms-stage.ts";

suite("CD-ROM drives over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 600_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let rig: Rig;

  before(async () => {
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
    for (const name of ["one", "two"]) {
      const file = { name: "which", data: Buffer.from(`medium ${name}\n`) };
      await writeFile(join(libvirtd.imagesDirectory, `${name}.iso`), isoImage(name, [file], 256 * 1024));
    }
    await writeFile(join(libvirtd.imagesDirectory, "disk.qcow2"), "");
    await virsh(libvirtd.uri, ["pool-refresh", "images"]);
  });
  after(() => stage.stop());

  const to = (vm: string) => ({ requestId: requestId(), vm });
  const iso = (name: string) => ({ pool: "images", volume: `${name}.iso` });
  const data = { name: "data", source: { kind: "new", pool: "images", capacityBytes: 8 * MIB } };
  const drive = (medium?: string) => ({
    name: "cd",
    source: { kind: "cdrom", ...(medium === undefined ? {} : { volume: iso(medium) }) },
    readOnly: true,
  });
  const beginChange = (vm: string, medium: string | undefined, more: object = {}) =>
    rig.vms.begin(
      "CHANGE_MEDIA",
      {
        ...to(vm),
        disk: "cd",
        force: false,
        ...(medium === undefined ? {} : { volume: iso(medium) }),
        ...more,
      },
      "tester",
    );
  const change = (vm: string, medium?: string, more: object = {}) =>
    rig.succeeds(beginChange(vm, medium, more));
  const power = (kind: "START_VM" | "STOP_VM", vm: string) =>
    rig.succeeds(
      kind === "START_VM"
        ? rig.vms.begin(kind, { ...to(vm), placementEpoch: 0 }, "tester")
        : rig.vms.begin(kind, { ...to(vm), force: true, gracefulTimeoutMs: 0 }, "tester"),
    );
  const drop = (vm: string) =>
    rig.succeeds(rig.vms.begin("DELETE_VM", { ...to(vm), keepDisks: false, force: true }, "tester"));
  const create = async (name: string, disks: object[], leaveStopped = false): Promise<string> => {
    const request = { ...linux(name, { disks }), leaveStopped };
    return (await rig.succeeds(rig.vms.create(request, "tester"))).vmId;
  };
  /** The drive's file by virsh; "-": none. */
  const medium = async (vm: string, ...as: string[]): Promise<string> =>
    /sd[a-z]\s+(\S+)/
      .exec(await virsh(libvirtd.uri, ["domblklist", vm, ...as]))?.[1]
      ?.split("/")
      .at(-1) ?? assert.fail("no drive");
  const stored = (vm: string): unknown => {
    const source = rig.table.get(vm)?.spec?.disks.find(({ name }) => name === "cd")?.source;
    return source?.kind === "cdrom" ? source.volume : assert.fail("no drive in the spec");
  };
  const show =
    "mkdir -p /run/cd; mount -t iso9660 -o ro /dev/sr0 /run/cd && cat /run/cd/which; umount /run/cd";

  test("a running guest reads the medium that is inserted, and none after it is ejected", async () => {
    const vm = await create("reader", [data, drive()]);
    const guest = await GuestShell.join(rig.libvirt, "reader");
    assert.deepEqual([await medium(vm), stored(vm)], ["-", undefined]);
    const first = await change(vm, "one");
    assert.deepEqual([first.result["medium"], first.result["applies"]], ["images/one.iso", "now"]);
    assert.match(await guest.run(show), /medium one/);
    await change(vm, "two");
    assert.match(await guest.run(show), /medium two/);
    assert.deepEqual([await medium(vm), await medium(vm, "--inactive")], ["two.iso", "two.iso"]);
    assert.deepEqual(stored(vm), iso("two"));
    const { result } = await change(vm);
    assert.equal(result["medium"], "none");
    await assert.rejects(guest.run("dd if=/dev/sr0 of=/dev/null bs=2048 count=1 2>/dev/null"));
    assert.deepEqual([await medium(vm), await medium(vm, "--inactive"), stored(vm)], ["-", "-", undefined]);
    // The same again has no effect.
    await change(vm);
    // A drive is in no snapshot.
    const snapshot = { ...to(vm), name: "one", quiesce: false };
    await rig.succeeds(rig.vms.begin("CREATE_SNAPSHOT", snapshot, "tester"));
    assert.deepEqual(Object.keys(rig.table.get(vm)?.snapshots?.snapshots[0]?.volumes ?? {}), ["data"]);
    await rig.succeeds(rig.vms.begin("DELETE_SNAPSHOT", { ...to(vm), snapshot: "one" }, "tester"));
    await guest.close();
    await drop(vm);
  });

  test("block nodes that a libvirt which died left in QEMU do not stop a medium", async () => {
    const vm = await create("left", [data, drive("one")]);
    const guest = await GuestShell.join(rig.libvirt, "left");
    await leaveNodes(libvirtd.uri, vm, 2);
    await change(vm, "two");
    assert.match(await guest.run(show), /medium two/);
    assert.deepEqual([await medium(vm), await medium(vm, "--inactive")], ["two.iso", "two.iso"]);
    await guest.close();
    await drop(vm);
  });

  test("a drive that a failed change of another client left empty gets its medium back", async () => {
    const vm = await create("emptied", [data, drive("one")]);
    const guest = await GuestShell.join(rig.libvirt, "emptied");
    await leaveNodes(libvirtd.uri, vm, 2);
    const two = join(libvirtd.imagesDirectory, "two.iso");
    await assert.rejects(
      virsh(libvirtd.uri, ["change-media", vm, "sdb", two, "--update"]),
      /Duplicate nodes/,
    );
    assert.equal(await medium(vm), "one.iso", "libvirt shows the medium that the guest lost");
    await assert.rejects(guest.run(show), /No medium/);
    await change(vm, "one");
    assert.match(await guest.run(show), /medium one/);
    assert.deepEqual([await medium(vm), await medium(vm, "--inactive")], ["one.iso", "one.iso"]);
    await guest.close();
    await drop(vm);
  });

  test("a guest that locks the tray keeps its medium, unless it is forced", async () => {
    const vm = await create("locker", [data, drive("one")]);
    const guest = await GuestShell.join(rig.libvirt, "locker");
    await guest.run("mkdir -p /run/cd; mount -t iso9660 -o ro /dev/sr0 /run/cd");
    const { error } = await rig.done(await beginChange(vm, "two"));
    assert.equal(error?.reason, "GUEST_KEEPS_MEDIUM");
    assert.deepEqual([await medium(vm), await medium(vm, "--inactive")], ["one.iso", "one.iso"]);
    assert.deepEqual(stored(vm), iso("one"));
    assert.match(await guest.run("cat /run/cd/which"), /medium one/);
    await change(vm, "two", { force: true });
    assert.deepEqual([await medium(vm), await medium(vm, "--inactive")], ["two.iso", "two.iso"]);
    assert.deepEqual(stored(vm), iso("two"));
    await guest.run("umount /run/cd");
    assert.match(await guest.run(show), /medium two/);
    await guest.close();
    await drop(vm);
  });

  test("a drive is attached and detached while the VM is off, and its medium changes then, too", async () => {
    const vm = await create("off", [data], true);
    const attach = () => rig.vms.begin("ATTACH_DISK", { ...to(vm), disk: drive("one") }, "tester");
    await rig.succeeds(attach());
    assert.equal(await medium(vm), "one.iso");
    const planned = await beginChange(vm, "two", { validateOnly: true });
    assert.deepEqual([planned.result["applies"], await medium(vm)], ["at the next start", "one.iso"]);
    await change(vm, "two");
    assert.equal(await medium(vm), "two.iso");
    await power("START_VM", vm);
    const guest = await GuestShell.join(rig.libvirt, "off");
    assert.match(await guest.run(show), /medium two/);
    await guest.close();
    const detach = () =>
      rig.vms.begin("DETACH_DISK", { ...to(vm), disk: "cd", deleteVolume: false }, "tester");
    await assert.rejects(detach(), { reason: "VM_STATE_CONFLICT" });
    await power("STOP_VM", vm);
    await rig.succeeds(detach());
    assert.doesNotMatch(await virsh(libvirtd.uri, ["dumpxml", vm]), /cdrom/);
    await power("START_VM", vm);
    await assert.rejects(attach(), { reason: "VM_STATE_CONFLICT" });
    await drop(vm);
  });

  test("wrong media are refused with their field, and a medium in a drive cannot be written to", async () => {
    const vm = await create("wrong", [data, drive("one")], true);
    await assert.rejects(beginChange(vm, "two", { disk: "data" }), { reason: "NOT_CDROM" });
    await assert.rejects(beginChange(vm, "two", { disk: "none" }), { reason: "DISK_NOT_FOUND" });
    await assert.rejects(beginChange(vm, undefined, { volume: { pool: "images", volume: "disk.qcow2" } }), {
      reason: "SPEC_INVALID",
    });
    await assert.rejects(beginChange(vm, "two", { etag: "old" }), { reason: "ETAG_MISMATCH" });
    const { error } = await rig.done(await beginChange(vm, "missing"));
    assert.equal(error?.reason, "VOLUME_NOT_FOUND");
    assert.equal(await medium(vm), "one.iso");
    const writer = { name: "writer", source: { kind: "volume", volume: iso("one") } };
    await assert.rejects(rig.vms.create(linux("writer", { disks: [writer] }), "tester"), {
      reason: "VOLUME_IN_USE",
    });
    for (const [disk, field] of [
      [{ ...drive("one"), readOnly: false }, "spec.disks[0].readOnly"],
      [{ ...drive("one"), limits: { totalIops: 100 } }, "spec.disks[0].limits"],
    ] as const) {
      const refused = rig.vms.create(linux("bad", { disks: [disk] }), "tester");
      await assert.rejects(refused, (error: { details?: { fields?: object } }) => {
        assert.deepEqual(Object.keys(error.details?.fields ?? {}), [field]);
        return true;
      });
    }
    await drop(vm);
    await eventually(() => rig.table.get(vm) === undefined, { what: "the VM to be gone" });
  });

  test("a drive boots in the boot order", async () => {
    const boot = { pool: "images", volume: "bootsector.img" };
    const disks = [data, { ...drive(), source: { kind: "cdrom", volume: boot } }];
    const request = linux("order", { disks, kernelBoot: undefined, bootOrder: ["data", "cd"] });
    delete (request.spec as Record<string, unknown>)["kernelBoot"];
    const { vmId } = await rig.succeeds(rig.vms.create({ ...request, leaveStopped: true }, "tester"));
    const xml = await virsh(libvirtd.uri, ["dumpxml", vmId]);
    const cd = /<disk type='file' device='cdrom'>[\s\S]*?<\/disk>/.exec(xml)?.[0] ?? "";
    assert.match(cd, /<boot order='2'\/>/);
    assert.match(xml, /<controller type='scsi' index='0' model='virtio-scsi'>/);
    await change(vmId);
    assert.match(await virsh(libvirtd.uri, ["dumpxml", vmId]), /device='cdrom'>[\s\S]*?<boot order='2'\/>/);
    await drop(vmId);
  });
});
