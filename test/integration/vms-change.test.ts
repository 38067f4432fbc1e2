import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { withoutUndefined } from "../../agent/kernel/defined.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import type { Operation } from "../../agent/state/operations/operation.ts";
import type { OperationKind, RequestOf } from "../../agent/vm/operations/registry.ts";
import type { Mutation } from "../../agent/vm/operations/vms.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { eventually } from "../support/wait.ts";
import { virsh } from "../support/virsh.ts";
import { SPARE_PCIE_PORTS } from "../../agent/vm/model/pcie-ports.ts";
import { linux, MIB, requestId, VmStage, type Rig } from "./vms-stage.ts";

type Kind = Exclude<OperationKind, "CREATE_VM">;

const newDisk = (
  name: string,
  mib: number,
  more: object = {},
): { disk: Readonly<Record<string, unknown>> } => ({
  disk: { name, source: { kind: "new", pool: "images", capacityBytes: mib * MIB, ...more } },
});
const existing = (name: string, volume: string): { disk: Readonly<Record<string, unknown>> } => ({
  disk: { name, source: { kind: "volume", volume: { pool: "images", volume } } },
});

suite("changes of VMs over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let rig: Rig;

  before(async () => {
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
  });
  after(() => stage.stop());

  const begin = <K extends Kind>(kind: K, vm: string, request: RequestOf<K>, validateOnly = false) => {
    const of: Mutation = { requestId: requestId(), vm, validateOnly };
    return rig.vms.begin(kind, Object.assign<Mutation, RequestOf<K>>(of, request), "tester");
  };
  const change = <K extends Kind>(kind: K, vm: string, request: RequestOf<K>): Promise<Operation> =>
    rig.succeeds(begin(kind, vm, request));
  /** The reason of a refusal, from the call or from its operation. */
  const refusal = async <K extends Kind>(kind: K, vm: string, request: RequestOf<K>): Promise<string> => {
    try {
      const { state, error } = await rig.done(await begin(kind, vm, request));
      return state === "failed" ? (error?.reason ?? "") : state;
    } catch (thrown) {
      return toSocleError(thrown).reason;
    }
  };
  /** Stopped by default. A field that is undefined is left out. */
  const create = async (
    name: string,
    changes: Readonly<Record<string, unknown>> = {},
    leaveStopped = true,
  ): Promise<string> => {
    const request = linux(name, changes);
    const spec = withoutUndefined(request.spec);
    return (await rig.succeeds(rig.vms.create({ ...request, spec, leaveStopped }, "tester"))).vmId;
  };
  const remove = (vm: string): Promise<Operation> =>
    change("DELETE_VM", vm, { keepDisks: false, force: true });
  const xml = (vm: string, ...more: string[]): Promise<string> =>
    virsh(libvirtd.uri, ["dumpxml", vm, ...more]);
  const aliases = (text: string): string[] =>
    [...text.matchAll(/<alias name='(ua-[^']+)'/g)].map(([, name]) => name ?? "");
  /** What libvirt has of a VM: its devices, its spec and all volumes. */
  const picture = async (vm: string): Promise<unknown> => {
    const [live, next] = await Promise.all([xml(vm), xml(vm, "--inactive")]);
    const spec = /<socle:spec>.*<\/socle:spec>/;
    return [aliases(live), aliases(next), spec.exec(live)?.[0], spec.exec(next)?.[0], await stage.volumes()];
  };

  test("a running guest gets a disk, sees it grow, and loses it", async () => {
    const vm = await create("changed", {}, false);
    const shell = await GuestShell.join(rig.libvirt, "changed");
    const { result } = await change("ATTACH_DISK", vm, newDisk("data", 8));
    assert.deepEqual(result, { disk: "data", device: "vda", applies: "now" });
    for (const text of [await xml(vm), await xml(vm, "--inactive")])
      assert.deepEqual(aliases(text), ["ua-disk-data"]);
    const sectors = async (): Promise<number> =>
      Number(await shell.run("cat /sys/block/vda/size 2>/dev/null || echo 0"));
    await eventually(async () => (await sectors()) === (8 * MIB) / 512, {
      what: "the guest to see its disk",
    });
    assert.equal((await shell.run("cat /sys/block/vda/serial")).trim(), "data");
    await shell.run("echo kept > /dev/vda; sync");
    await change("RESIZE_DISK", vm, { disk: "data", capacityBytes: 16 * MIB });
    await eventually(async () => (await sectors()) === (16 * MIB) / 512, {
      what: "the guest to see its disk grow",
    });
    assert.match(await virsh(libvirtd.uri, ["domblkinfo", vm, "vda"]), /^Capacity: +16777216$/m);
    assert.equal((await shell.run("head -n 1 /dev/vda")).trim(), "kept");
    const source = rig.table.get(vm)?.spec?.disks[0]?.source;
    assert.equal(source?.kind === "new" && source.capacityBytes, 16 * MIB);

    // A guest that is paused cannot release a disk.
    await change("PAUSE_VM", vm, {});
    assert.equal(
      await refusal("DETACH_DISK", vm, { disk: "data", deleteVolume: true }),
      "GUEST_KEEPS_DEVICE",
    );
    assert.deepEqual(aliases(await xml(vm, "--inactive")), ["ua-disk-data"]);
    assert.match(await stage.volumes(), new RegExp(`socle-${vm}-data.qcow2`));
    await change("RESUME_VM", vm, {});
    await change("DETACH_DISK", vm, { disk: "data", deleteVolume: true });
    for (const text of [await xml(vm), await xml(vm, "--inactive")]) assert.deepEqual(aliases(text), []);
    assert.equal(await sectors(), 0);
    assert.doesNotMatch(await stage.volumes(), new RegExp(vm));
    assert.deepEqual(rig.table.get(vm)?.spec?.disks, []);
    await remove(vm);
  });

  test("a stopped VM gets, enlarges and loses disks; a kept volume stays", async () => {
    await virsh(libvirtd.uri, ["vol-create-as", "images", "mine.qcow2", "4M", "--format", "qcow2"]);
    const vm = await create("off");
    await change("ATTACH_DISK", vm, newDisk("first", 4));
    await change("ATTACH_DISK", vm, newDisk("own", 4));
    const { result } = await change("ATTACH_DISK", vm, existing("named", "mine.qcow2"));
    assert.deepEqual(result, { disk: "named", device: "vdc", applies: "at the next start" });
    for (const disk of ["first", "own", "named"])
      await change("RESIZE_DISK", vm, { disk, capacityBytes: 8 * MIB });
    for (const file of [`socle-${vm}-first.qcow2`, `socle-${vm}-own.qcow2`, "mine.qcow2"]) {
      const info = await promisify(execFile)("qemu-img", [
        "info",
        "--output=json",
        join(libvirtd.imagesDirectory, file),
      ]);
      assert.equal((JSON.parse(info.stdout) as Record<string, unknown>)["virtual-size"], 8 * MIB, file);
    }
    await change("DETACH_DISK", vm, { disk: "own", deleteVolume: false });
    // Its place is free again.
    assert.equal((await change("ATTACH_DISK", vm, newDisk("more", 4))).result["device"], "vdb");
    await change("DETACH_DISK", vm, { disk: "named", deleteVolume: false });
    assert.deepEqual(aliases(await xml(vm, "--inactive")), ["ua-disk-first", "ua-disk-more"]);
    await remove(vm);
    const left = await stage.volumes();
    assert.match(left, new RegExp(`socle-${vm}-own.qcow2`));
    assert.match(left, /mine.qcow2/);
    assert.doesNotMatch(left, new RegExp(`socle-${vm}-(raw|more)`));
  });

  test("what cannot be done is refused, names the field, and changes nothing", async () => {
    await virsh(libvirtd.uri, ["vol-create-as", "images", "other.qcow2", "4M", "--format", "qcow2"]);
    const vm = await create("refused", { kernelBoot: undefined, disks: [newDisk("root", 4).disk] });
    const other = await create("other", { disks: [existing("a", "other.qcow2").disk] });
    const before = await picture(vm);
    const attach = (disk: ReturnType<typeof newDisk>): Promise<string> => refusal("ATTACH_DISK", vm, disk);
    assert.equal(await attach(newDisk("root", 4)), "DISK_EXISTS");
    assert.equal(await attach(existing("b", "other.qcow2")), "VOLUME_IN_USE");
    assert.equal(await attach(existing("b", "none.qcow2")), "VOLUME_NOT_FOUND");
    assert.equal(await attach(newDisk("B", 4)), "SPEC_INVALID");
    assert.equal(await refusal("DETACH_DISK", vm, { disk: "root", deleteVolume: false }), "BOOT_DISK");
    assert.equal(await refusal("DETACH_DISK", vm, { disk: "no", deleteVolume: false }), "DISK_NOT_FOUND");
    assert.equal(await refusal("DETACH_DISK", other, { disk: "a", deleteVolume: true }), "VOLUME_NOT_OWN");
    assert.equal(
      await refusal("RESIZE_DISK", vm, { disk: "root", capacityBytes: 2 * MIB }),
      "CAPACITY_TOO_SMALL",
    );
    assert.equal(
      await refusal("RESIZE_DISK", vm, { disk: "root", capacityBytes: 8 * MIB + 1 }),
      "SPEC_INVALID",
    );
    const mask = { spec: {}, updateMask: ["name"] };
    assert.equal(await refusal("UPDATE_VM", vm, mask), "UPDATE_MASK_INVALID");
    const etag = rig.table.get(vm)?.etag ?? "";
    await change("UPDATE_VM", vm, { spec: { labels: { tier: "front" } }, updateMask: ["labels"], etag });
    const stale = { spec: { labels: {} }, updateMask: ["labels"], etag };
    assert.equal(await refusal("UPDATE_VM", vm, stale), "ETAG_MISMATCH");
    assert.deepEqual(rig.table.get(vm)?.labels, { tier: "front" });
    await change("UPDATE_VM", vm, { spec: { labels: {} }, updateMask: ["labels"] });
    assert.deepEqual(await picture(vm), before);
    for (const each of [vm, other]) await remove(each);
  });

  test("a request that only validates returns a plan and changes nothing", async () => {
    const vm = await create("planned", { disks: [newDisk("data", 4).disk] });
    const before = await picture(vm);
    const plans = [
      await begin("ATTACH_DISK", vm, newDisk("more", 4), true),
      await begin("DETACH_DISK", vm, { disk: "data", deleteVolume: true }, true),
      await begin("RESIZE_DISK", vm, { disk: "data", capacityBytes: 8 * MIB }, true),
      await begin("UPDATE_VM", vm, { spec: { autostart: true }, updateMask: ["autostart"] }, true),
    ];
    const next = "at the next start";
    assert.deepEqual(
      plans.map(({ id, state, result }) => ({ id, state, ...result })),
      [
        { disk: "more", applies: next },
        { disk: "data", applies: next, volume: "deleted" },
        { disk: "data", capacity_bytes: String(8 * MIB), before_bytes: String(4 * MIB), applies: "now" },
        { changes: "autostart", applies: "now" },
      ].map((plan) => ({ id: "", state: "succeeded", validated: "true", ...plan })),
    );
    assert.deepEqual(await picture(vm), before);
    await change("UPDATE_VM", vm, { spec: { autostart: true }, updateMask: ["autostart"] });
    // The agent starts the VM, not libvirt.
    assert.match(await virsh(libvirtd.uri, ["dominfo", vm]), /^Autostart: +disable$/m);
    assert.equal(rig.table.get(vm)?.spec?.autostart, true);
    const power = { startPriority: 7, crashPolicy: "restart" };
    await change("UPDATE_VM", vm, { spec: power, updateMask: ["start_priority", "crash_policy"] });
    await change("UPDATE_VM", vm, { spec: {}, updateMask: ["start_priority"] });
    const { startPriority, crashPolicy } = rig.table.get(vm)?.spec ?? {};
    assert.deepEqual({ startPriority, crashPolicy }, { startPriority: undefined, crashPolicy: "restart" });
    await remove(vm);
  });

  test("of two VMs that want one volume at the same time, one gets it", async () => {
    await virsh(libvirtd.uri, ["vol-create-as", "images", "one.qcow2", "4M", "--format", "qcow2"]);
    const vms = [await create("first"), await create("second")];
    const ends = await Promise.all(vms.map((vm) => refusal("ATTACH_DISK", vm, existing("a", "one.qcow2"))));
    assert.deepEqual(ends.sort(), ["VOLUME_IN_USE", "succeeded"]);
    const had = await Promise.all(vms.map(async (vm) => aliases(await xml(vm, "--inactive")).length));
    assert.deepEqual(had.sort(), [0, 1]);
    for (const vm of vms) await remove(vm);
  });

  test("a volume is attached to a VM once, under whichever name", async () => {
    const mirror = join(libvirtd.directory, "mirror");
    await symlink(libvirtd.imagesDirectory, mirror);
    await virsh(libvirtd.uri, ["pool-create-as", "mirror", "dir", "--target", mirror]);
    await virsh(libvirtd.uri, ["vol-create-as", "images", "twice.qcow2", "4M", "--format", "qcow2"]);
    const vm = await create("once", { disks: [newDisk("own", 4).disk] });
    assert.equal(
      await refusal("ATTACH_DISK", vm, existing("again", `socle-${vm}-own.qcow2`)),
      "SPEC_INVALID",
    );
    await change("ATTACH_DISK", vm, existing("first", "twice.qcow2"));
    const mirrored = {
      name: "second",
      source: { kind: "volume", volume: { pool: "mirror", volume: "twice.qcow2" } },
    };
    assert.equal(await refusal("ATTACH_DISK", vm, { disk: mirrored }), "VOLUME_IN_USE");
    await change("START_VM", vm, { placementEpoch: 0 });
    await remove(vm);
  });

  test("a deletion behind a change of the disks deletes nothing that it did not know", async () => {
    const vm = await create("behind", { disks: [newDisk("data", 4).disk] });
    const remove = { keepDisks: false, force: true };
    /** Both are admitted before the first has ended. */
    const outcomes = async (first: Promise<Operation>): Promise<readonly string[]> => {
      const operations = [await first, await begin("DELETE_VM", vm, remove)];
      const ends = await Promise.all(operations.map((operation) => rig.done(operation)));
      return ends.map(({ state, error }) => error?.reason ?? state);
    };
    const kept = { disk: "data", deleteVolume: false };
    assert.deepEqual(await outcomes(begin("DETACH_DISK", vm, kept)), ["succeeded", "VM_CHANGED"]);
    assert.match(await stage.volumes(), new RegExp(`socle-${vm}-data.qcow2`));
    assert.deepEqual(await outcomes(begin("ATTACH_DISK", vm, newDisk("more", 4))), [
      "succeeded",
      "VM_CHANGED",
    ]);
    await change("DELETE_VM", vm, remove);
    assert.doesNotMatch(await stage.volumes(), new RegExp(`socle-${vm}-more`));
  });

  test("of changes with the etag of one read, one is made", async () => {
    const vm = await create("guarded");
    const etag = rig.table.get(vm)?.etag ?? "";
    const by = (name: string): Promise<string> =>
      refusal("UPDATE_VM", vm, { spec: { labels: { by: name } }, updateMask: ["labels"], etag });
    const ends = await Promise.all(["a", "b", "c"].map(by));
    assert.deepEqual(ends.sort(), ["ETAG_MISMATCH", "ETAG_MISMATCH", "succeeded"]);
    await remove(vm);
  });

  test("a guest without a free port is refused another disk, and nothing of it is left", async () => {
    const vm = await create(
      "full",
      { kernelBoot: undefined, disks: [{ ...existing("boot", "bootsector.img").disk, readOnly: true }] },
      false,
    );
    // One more than the spare ones: without a guest agent the VM has no serial bus.
    for (let at = 0; at < SPARE_PCIE_PORTS + 1; at += 1)
      await change("ATTACH_DISK", vm, newDisk(`d${at}`, 1));
    const before = await picture(vm);
    assert.equal(await refusal("ATTACH_DISK", vm, newDisk("more", 1)), "NO_FREE_PORT");
    assert.deepEqual(await picture(vm), before);
    assert.equal(rig.table.get(vm)?.spec?.disks.length, SPARE_PCIE_PORTS + 2);
    await change("STOP_VM", vm, { force: true, gracefulTimeoutMs: 0 });
    await change("ATTACH_DISK", vm, newDisk("more", 1));
    await change("START_VM", vm, { placementEpoch: 0 });
    assert.equal(aliases(await xml(vm)).length, SPARE_PCIE_PORTS + 3);
    await remove(vm);
  });
});
