import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rename, stat, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { type CreateRequest } from "../../agent/vm/operations/vms.ts";
import { linuxCommandLine } from "../support/guest.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { eventually } from "../support/wait.ts";
import { virsh } from "../support/virsh.ts";
import { linux, MIB, requestId, VmStage, type Rig } from "./vms-stage.ts";

suite("VMs' disks and NICs over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 240_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let rig: Rig;

  before(async () => {
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
  });
  after(() => stage.stop());

  test("the second of two concurrent creates with one name is refused; a disk without a size is as large as its base", async () => {
    await virsh(libvirtd.uri, ["vol-create-as", "images", "base.qcow2", "3M", "--format", "qcow2"]);
    const source = { kind: "new", pool: "images", baseVolume: "base.qcow2" };
    const twin = () => ({ ...linux("twin", { disks: [{ name: "root", source }] }), leaveStopped: true });
    const both = await Promise.allSettled([
      rig.vms.create(twin(), "tester"),
      rig.vms.create(twin(), "tester"),
    ]);
    const begun = both.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    const refused = both.flatMap((each) => (each.status === "rejected" ? [toSocleError(each.reason)] : []));
    assert.deepEqual([begun.length, refused.map(({ reason }) => reason)], [1, ["VM_EXISTS"]]);
    const { vmId: vm } = await rig.succeeds(Promise.resolve(begun[0] ?? assert.fail()));
    const root = rig.table.get(vm)?.spec?.disks[0]?.source;
    assert.equal(root?.kind === "new" && root.capacityBytes, 3 * MIB);
    await rig.succeeds(
      rig.vms.begin("DELETE_VM", { requestId: requestId(), vm, keepDisks: false, force: true }, "tester"),
    );
    await virsh(libvirtd.uri, ["vol-delete", "base.qcow2", "images"]);
  });

  test("a NIC on a network gets an address, behind the anti-spoofing filter", async () => {
    const xml = join(stage.state, "network.xml");
    await writeFile(
      xml,
      `<network><name>front</name><bridge name='socle-front'/><ip address='192.0.2.1' netmask='255.255.255.0'>
       <dhcp><range start='192.0.2.10' end='192.0.2.20'/></dhcp></ip></network>`,
    );
    await virsh(libvirtd.uri, ["net-create", xml]);
    const request = linux("wired", {
      nics: [{ name: "front", source: { kind: "network", network: "front" } }],
    });
    const kernelBoot = { ...(request.spec["kernelBoot"] as object), commandLine: `${linuxCommandLine} dhcp` };
    const { vmId } = await rig.succeeds(
      rig.vms.create({ ...request, spec: { ...request.spec, kernelBoot } }, "tester"),
    );
    await eventually(
      async () => /192\.0\.2\.\d/.test(await virsh(libvirtd.uri, ["net-dhcp-leases", "front"])),
      { what: "the guest to get an address", timeoutMs: 60_000, intervalMs: 200 },
    );
    const nic = rig.table.get(vmId)?.nics[0];
    assert.equal(nic?.name, "front");
    assert.match(
      await virsh(libvirtd.uri, ["nwfilter-binding-list"]),
      new RegExp(`${nic.device}\\s+clean-traffic`),
    );
    assert.match(
      await virsh(libvirtd.uri, ["domiflist", "wired"]),
      new RegExp(`${nic.device}.*front.*virtio.*${nic.mac}`),
    );
    await rig.succeeds(
      rig.vms.begin(
        "DELETE_VM",
        { requestId: requestId(), vm: vmId, keepDisks: false, force: true },
        "tester",
      ),
    );
    await virsh(libvirtd.uri, ["net-destroy", "front"]);
  });

  test("a disk's format follows its name, not its bytes; an overlay of a host's file is refused", async () => {
    const make = async (name: string): Promise<void> => {
      const path = join(libvirtd.imagesDirectory, name);
      await promisify(execFile)("qemu-img", [
        "create",
        "-q",
        "-f",
        "qcow2",
        "-b",
        "/etc/hostname",
        "-F",
        "raw",
        path,
        "1M",
      ]);
    };
    await make("evil.img");
    await make("evil.qcow2");
    await virsh(libvirtd.uri, ["pool-refresh", "images"]);
    assert.match(await virsh(libvirtd.uri, ["vol-dumpxml", "evil.img", "images"]), /\/etc\/hostname/);
    const withDisk = (volume: string): CreateRequest => ({
      ...linux("evil", {
        disks: [{ name: "root", source: { kind: "volume", volume: { pool: "images", volume } } }],
      }),
      leaveStopped: true,
    });
    const refused = await rig.done(await rig.vms.create(withDisk("evil.qcow2"), "tester"));
    assert.equal(refused.error?.reason, "BACKING_OUTSIDE_POOL");
    const forged = await rig.done(await rig.vms.create(withDisk("evil.img"), "tester"));
    assert.equal(forged.error?.reason, "RAW_FILE_REFUSED");
  });

  test("a deleted VM's volume goes to no other VM, and an exchanged volume is not started", async () => {
    const spec = {
      name: "left",
      vcpus: 1,
      memoryBytes: 32 * MIB,
      id: randomUUID(),
      disks: [{ name: "data", source: { kind: "new", pool: "images", capacityBytes: MIB } }],
    };
    const request = (more: object = {}): CreateRequest => ({
      requestId: requestId(),
      spec: { ...spec, ...more },
      leaveStopped: true,
      validateOnly: false,
      placementEpoch: 0,
    });
    const path = join(libvirtd.imagesDirectory, `socle-${spec.id}-data.qcow2`);
    await rig.succeeds(rig.vms.create(request(), "tester"));
    const link = `${path}.moved`;
    await rename(path, link);
    await symlink(link, path);
    const start = { requestId: requestId(), vm: spec.id, placementEpoch: 0 };
    const kept = await rig.done(await rig.vms.begin("START_VM", start, "tester"));
    assert.equal(kept.error?.reason, "VOLUME_UNSAFE");
    assert.equal(await virsh(libvirtd.uri, ["domstate", "left"]), "shut off");
    await rename(link, path);
    const keep = { requestId: requestId(), vm: spec.id, keepDisks: true, force: false };
    await rig.succeeds(rig.vms.begin("DELETE_VM", keep, "tester"));
    const { ino } = await stat(path);
    const larger = [{ name: "data", source: { kind: "new", pool: "images", capacityBytes: 2 * MIB } }];
    for (const more of [{}, { disks: larger }]) {
      const end = await rig.done(await rig.vms.create(request({ name: "heir", ...more }), "tester"));
      assert.equal(end.error?.reason, "VOLUME_EXISTS");
      assert.equal((await stat(path)).ino, ino);
    }
    await virsh(libvirtd.uri, ["vol-delete", basename(path), "images"]);
  });
});
