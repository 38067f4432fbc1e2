import assert from "node:assert/strict";
import { symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { guestXml } from "../support/guest.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { eventually } from "../support/wait.ts";
import { virsh } from "../support/virsh.ts";
import type { CreateRequest } from "../../agent/vm/operations/vms.ts";
import { MIB, requestId, VmStage, type Rig } from "./vms-stage.ts";

const attached = (volume: string, readOnly = false): object => ({
  name: "a",
  source: { kind: "volume", volume: { pool: "images", volume } },
  readOnly,
});
const over = (baseVolume: string): object => ({
  name: "a",
  source: { kind: "new", pool: "images", baseVolume, capacityBytes: 8 * MIB },
});
/** Stopped by default. */
const asked = (name: string, disk: object, more: Partial<CreateRequest> = {}): CreateRequest => ({
  requestId: requestId(),
  spec: { name, vcpus: 1, memoryBytes: 32 * MIB, disks: [disk], tenant: name, ...more.spec },
  leaveStopped: true,
  validateOnly: false,
  placementEpoch: 0,
  ...(more.tenantOnly === undefined ? {} : { tenantOnly: more.tenantOnly }),
  ...(more.validateOnly === undefined ? {} : { validateOnly: more.validateOnly }),
});

suite("ownership of disks over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 240_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let rig: Rig;

  before(async () => {
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
    for (const name of ["b1.qcow2", "b2.qcow2", "iso.img"]) {
      const format = name.endsWith(".img") ? "raw" : "qcow2";
      await virsh(libvirtd.uri, ["vol-create-as", "images", name, "4M", "--format", format]);
    }
    const under = ["--backing-vol", "b2.qcow2", "--backing-vol-format", "qcow2"];
    await virsh(libvirtd.uri, [
      "vol-create-as",
      "images",
      "over-b2.qcow2",
      "4M",
      "--format",
      "qcow2",
      ...under,
    ]);
  });
  after(() => stage.stop());

  /** The reason of the failed creation, from the call or from its operation. */
  const refusal = async (
    request: CreateRequest,
    caller: string,
  ): Promise<{ reason: string; message: string }> => {
    try {
      const { error } = await rig.done(await rig.vms.create(request, caller));
      return error ?? assert.fail("it was made");
    } catch (thrown) {
      return toSocleError(thrown);
    }
  };

  test("a stopped VM's writable volume is refused at once: to a tenant with VOLUME_DENIED, to others with the VM's name", async () => {
    await rig.succeeds(rig.vms.create(asked("red", attached("b1.qcow2")), "tester"));
    for (const disk of [attached("b1.qcow2"), attached("b1.qcow2", true), over("b1.qcow2")])
      for (const validateOnly of [true, false]) {
        const denied = await refusal(asked("evil", disk, { validateOnly, tenantOnly: true }), "evil");
        assert.equal(denied.reason, "VOLUME_DENIED");
        assert.doesNotMatch(denied.message, /red/);
        await assert.rejects(rig.vms.create(asked("other", disk, { validateOnly }), "root"), {
          reason: "VOLUME_IN_USE",
          message: /images\/b1\.qcow2 is in use by VM red/,
        });
      }
    assert.deepEqual(await stage.domains(), ["red"]);
  });

  test("an unmanaged domain's volume is refused too, by path and under an overlay, and nothing is created", async () => {
    const disk =
      `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>` +
      `<source file='${join(libvirtd.imagesDirectory, "b2.qcow2")}'/><target dev='vdb' bus='virtio'/></disk>`;
    const boot = { bootSector: stage.files.bootSector };
    const xml = join(stage.state, "foreign.xml");
    await writeFile(xml, guestXml({ name: "foreign", boot, devices: disk }));
    await virsh(libvirtd.uri, ["define", xml]);
    await eventually(() => rig.table.get("foreign") !== undefined, { what: "the domain to be listed" });
    const before = await stage.volumes();
    for (const each of [
      attached("b2.qcow2"),
      over("b2.qcow2"),
      attached("over-b2.qcow2", true),
      over("over-b2.qcow2"),
    ]) {
      await assert.rejects(rig.vms.create(asked("other", each, { validateOnly: true }), "root"), {
        reason: "VOLUME_IN_USE",
        message: /in use by VM foreign/,
      });
      assert.equal((await refusal(asked("other", each), "root")).reason, "VOLUME_IN_USE");
      const denied = await refusal(asked("evil", each, { tenantOnly: true }), "evil");
      assert.equal(denied.reason, "VOLUME_DENIED");
      assert.doesNotMatch(denied.message, /foreign/);
    }
    assert.equal(await stage.volumes(), before);
    await virsh(libvirtd.uri, ["undefine", "foreign"]);
    await eventually(() => rig.table.get("foreign") === undefined, { what: "the domain to be gone" });
    // A volume with an overlay is not written to either, whichever client created the overlay.
    const spoilt = await refusal(asked("other", attached("b2.qcow2")), "root");
    assert.match(spoilt.message, /volume over-b2\.qcow2, an overlay of it/);
  });

  test("many VMs may read one image, a tenant's too", async () => {
    for (const [name, disk] of [
      ["one", attached("iso.img", true)],
      ["two", over("iso.img")],
    ] as const)
      await rig.succeeds(rig.vms.create(asked(name, disk, { tenantOnly: true }), name));
    await assert.rejects(rig.vms.create(asked("three", attached("iso.img")), "root"), {
      reason: "VOLUME_IN_USE",
    });
  });

  test("a volume is in use through another pool over the same directory too", async () => {
    const mirror = join(stage.state, "mirror");
    await symlink(libvirtd.imagesDirectory, mirror);
    await virsh(libvirtd.uri, ["pool-create-as", "mirror", "dir", "--target", mirror]);
    const disk = {
      ...attached("b1.qcow2"),
      source: { kind: "volume", volume: { pool: "mirror", volume: "b1.qcow2" } },
    };
    for (const readOnly of [false, true]) {
      const refused = await refusal(asked("other", { ...disk, readOnly }), "root");
      assert.equal(refused.reason, "VOLUME_IN_USE");
      assert.match(refused.message, /in use by VM red/);
    }
    const others = { ...disk, source: { kind: "volume", volume: { pool: "mirror", volume: "iso.img" } } };
    await rig.succeeds(rig.vms.create(asked("reader", { ...others, readOnly: true }), "root"));
  });

  test("a VM whose disk a guest has open is not started, and the error names that guest", async () => {
    const disk =
      `<disk type='file' device='disk'><driver name='qemu' type='raw'/>` +
      `<source file='${join(libvirtd.imagesDirectory, "b1.qcow2")}'/><target dev='vdb' bus='virtio'/></disk>`;
    const boot = { bootSector: stage.files.bootSector };
    const xml = join(stage.state, "thief.xml");
    await writeFile(xml, guestXml({ name: "thief", boot, devices: disk }));
    await virsh(libvirtd.uri, ["create", xml]);
    await eventually(() => rig.table.get("thief")?.state === "running", { what: "the domain to be listed" });
    const start = { requestId: requestId(), vm: "red", placementEpoch: 0 };
    const end = await rig.done(await rig.vms.begin("START_VM", start, "tester"));
    assert.equal(end.error?.reason, "VOLUME_IN_USE");
    assert.match(end.error.message, /^[^\n]*b1\.qcow2 is in use by VM thief[^\n]*$/);
    await virsh(libvirtd.uri, ["destroy", "thief"]);
  });

  test("a dry-run creation names a missing or inactive network", async () => {
    const nics = [{ name: "n", source: { kind: "network", network: "nonet" } }];
    const request = (validateOnly: boolean): CreateRequest => ({
      ...asked("netless", attached("iso.img", true), { spec: { nics } }),
      leaveStopped: false,
      validateOnly,
    });
    const missing = { reason: "NETWORK_NOT_FOUND", message: /network nonet/ };
    await assert.rejects(rig.vms.create(request(true), "tester"), missing);
    const end = await rig.done(await rig.vms.create(request(false), "tester"));
    assert.equal(end.error?.reason, "NETWORK_NOT_FOUND");
    assert.deepEqual(
      end.steps.map(({ name, outcome }) => `${name} ${outcome}`),
      ["resolve failed"],
    );
    const xml = join(stage.state, "net.xml");
    await writeFile(xml, "<network><name>nonet</name></network>");
    await virsh(libvirtd.uri, ["net-define", xml]);
    await assert.rejects(rig.vms.create(request(true), "tester"), { reason: "NETWORK_INACTIVE" });
    await virsh(libvirtd.uri, ["net-undefine", "nonet"]);
  });
});
