import assert from "node:assert/strict";
import test from "node:test";
import {
  ancestry,
  layerName,
  layersOf,
  noSnapshots,
  snapshotsOf,
  snapshotsText,
  type Snapshot,
  type Snapshots,
} from "../../../../agent/vm/model/snapshots.ts";
import { newDiskBytes, ownVolumes, vmOfVolume } from "../../../../agent/vm/model/volume-names.ts";
import { placesOf } from "../../../../agent/vm/storage/volume-users.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const spec = checkSpec(
  {
    id: ID,
    name: "web",
    vcpus: 1,
    memoryBytes: 2 ** 30,
    disks: [
      { name: "root", source: { kind: "new", pool: "fast", capacityBytes: 1000 } },
      { name: "data", source: { kind: "new", pool: "large", capacityBytes: 10 } },
    ],
  },
  { bridges: [], allowSpoofing: false },
);
const first = `socle-${ID}-root.qcow2`;
const snapshot = (id: string, volume: string, parent?: string): Snapshot => ({
  id,
  name: `name-${id}`,
  createdAtMs: 1,
  volumes: { root: volume },
  ...(parent === undefined ? {} : { parent }),
});
const [a, b] = [layerName(ID, "root", "aaaaaaaa"), layerName(ID, "root", "bbbbbbbb")];
const two: Snapshots = {
  snapshots: [snapshot("00000001", first), snapshot("00000002", a, "00000001")],
  current: "00000002",
  active: { root: b },
  loose: [],
};

test("the guest uses the newest layer, and all layers are the VM's own and count in its tenant's quota", () => {
  assert.deepEqual(layersOf("root", first), { active: first, others: [] });
  assert.deepEqual(layersOf("root", first, two), { active: b, others: [first, a] });
  const layered = { ...spec, snapshots: two };
  assert.deepEqual(
    ownVolumes(layered).map(({ pool, volume }) => `${pool}/${volume}`),
    [`fast/${b}`, `fast/${first}`, `fast/${a}`, `large/socle-${ID}-data.qcow2`],
  );
  assert.equal(newDiskBytes(spec), 1010);
  assert.equal(newDiskBytes(layered), 3010);
  assert.equal(vmOfVolume(a), ID);
});

test("a volume that is being made or deleted has an owner", () => {
  const making: Snapshots = { ...noSnapshots, loose: [{ disk: "root", volume: a }] };
  assert.ok(ownVolumes({ ...spec, snapshots: making }).some(({ volume }) => volume === a));
});

test("no other VM may read or write a layer", () => {
  const places = placesOf({ spec, snapshots: two });
  for (const volume of [first, a, b])
    assert.deepEqual(
      places.find(({ at }) => at === `fast/${volume}`),
      { at: `fast/${volume}`, role: "disk", writes: true },
    );
  // The same spec without snapshots has its first volume alone.
  assert.equal(placesOf({ spec }).length, 2);
});

test("the ancestors of the present disks, also with branches, and never endless", () => {
  const branched: Snapshots = {
    ...two,
    snapshots: [...two.snapshots, snapshot("00000003", b, "00000001")],
  };
  assert.deepEqual(
    ancestry(branched).map(({ id }) => id),
    ["00000002", "00000001"],
  );
  const endless: Snapshots = { ...two, snapshots: [snapshot("00000002", a, "00000002")] };
  assert.equal(ancestry(endless).length, 1);
});

test("what is stored is read again, and anything else is refused", () => {
  assert.deepEqual(snapshotsOf(ID, snapshotsText(two) ?? ""), two);
  assert.equal(snapshotsText(noSnapshots), undefined);
  const wrong = [
    "",
    "{}",
    JSON.stringify({ ...two, active: { root: "../../etc/passwd" } }),
    JSON.stringify({ ...two, snapshots: [{ ...two.snapshots[0], volumes: { root: "/etc/passwd" } }] }),
    JSON.stringify({ ...two, active: { root: a.replace(ID, `${ID.slice(0, -1)}2`) } }),
    JSON.stringify({ ...two, loose: [{ disk: "data", volume: a }] }),
    JSON.stringify({ ...two, snapshots: Array.from({ length: 17 }, () => two.snapshots[0]) }),
  ];
  for (const text of wrong) assert.throws(() => snapshotsOf(ID, text), text);
});
