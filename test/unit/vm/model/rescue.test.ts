import assert from "node:assert/strict";
import { test } from "node:test";
import {
  isRescueSystem,
  rescueDocument,
  rescueOf,
  rescueText,
  rescueVolumeName,
  type Rescue,
} from "../../../../agent/vm/model/rescue.ts";
import { buildVmDomain, parseVmDomain } from "../../../../agent/vm/model/vm-domain.ts";
import { newDiskBytes, ownVolumes, volumesOf } from "../../../../agent/vm/model/volume-names.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { domainDocument } from "../../../../agent/vm/observation/domain-document.ts";
import { unbound } from "../../../../agent/state/reservations/placement.ts";

const id = "6f2f0c4e-8c1b-4f0e-9a54-6a3f3c1b2a01";
const MIB = 2 ** 20;
const rescue: Rescue = {
  pool: "default",
  volume: rescueVolumeName(id),
  baseVolume: "rescue.img",
  capacityBytes: 10 * MIB,
  startsAfter: true,
};
const newDisk = (name: string) => ({
  name,
  source: { kind: "new", pool: "default", capacityBytes: 5 * MIB },
});
const spec = checkSpec(
  {
    id,
    name: "web",
    vcpus: 1,
    memoryBytes: 64 * MIB,
    disks: [newDisk("root"), newDisk("data")],
    nics: [{ name: "front", source: { kind: "network", network: "default" } }],
    bootOrder: ["front", "root"],
    cloudInit: { hostname: "web" },
  },
  { bridges: [], allowSpoofing: false },
);
const document = domainDocument({
  spec,
  accelerator: "tcg",
  architecture: "x86_64",
  socketDirectory: "/run/socle-guests",
  disks: spec.disks.map(({ name }) => ({ path: `/images/${name}`, format: "qcow2" })),
  seedPath: "/images/seed.iso",
  kernelPath: "/images/vmlinuz",
  initrdPath: "/images/initrd",
  placement: unbound,
  placementEpoch: 0,
  createdAtMs: 1_700_000_000_000,
});

test("a rescue system boots from its disk alone, and has the VM's behind it", () => {
  assert.equal(isRescueSystem(document), false);
  const parsed = parseVmDomain(
    buildVmDomain(rescueDocument(parseVmDomain(buildVmDomain(document)), "/r.qcow2")),
  );
  assert.equal(isRescueSystem(parsed), true);
  const { disks, interfaces } = parsed.devices;
  assert.deepEqual(
    disks.map(({ target, serial, bootOrder }) => [target.device, serial, bootOrder]),
    [
      ["vda", "rescue", 1],
      ["vdb", "root", undefined],
      ["vdc", "data", undefined],
      ["vdz", "cidata", undefined],
    ],
  );
  assert.deepEqual(
    interfaces.map(({ bootOrder }) => bootOrder),
    [undefined],
  );
  assert.equal(parsed.os.kernel, undefined);
  assert.equal(parsed.os.initrd, undefined);
  assert.deepEqual([parsed.uuid, parsed.name, parsed.metadata], [id, "web", document.metadata]);
});

test("the overlay of a rescue system is the VM's own volume, and its base is read", () => {
  const owner = { ...spec, rescue };
  const names = ownVolumes(owner).map(({ volume }) => volume);
  assert.ok(names.includes(rescueVolumeName(id)));
  assert.equal(names.length, ownVolumes(spec).length + 1);
  assert.equal(newDiskBytes(owner), newDiskBytes(spec) + 10 * MIB);
  const base = volumesOf(owner).find(({ volume }) => volume === "rescue.img");
  assert.deepEqual([base?.role, base?.writes, base?.named], ["base", false, true]);
});

test("a note that names the volume of another VM is not valid", () => {
  assert.deepEqual(rescueOf(id, rescueText(rescue)), rescue);
  assert.throws(() => rescueOf(id.replace("6f2f", "7f2f"), rescueText(rescue)), /no rescue system/);
  assert.throws(() => rescueOf(id, "{}"));
});
