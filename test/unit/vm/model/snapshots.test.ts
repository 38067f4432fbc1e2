import assert from "node:assert/strict";
import test from "node:test";
import {
  ancestry,
  layerName,
  layersOf,
  memoryFilesOf,
  memoryName,
  noSnapshots,
  snapshotsOf,
  snapshotsText,
  withLooseMemory,
  type Snapshot,
  type Snapshots,
} from "../../../../agent/vm/model/snapshots.ts";
import { newDiskBytes, ownVolumes, vmOfVolume } from "../../../../agent/vm/model/volume-names.ts";
import { withoutDisk } from "../../../../agent/vm/operations/attach-disk.ts";
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

test("extra volumes are the VM's own, in their own pools, and are only of this VM", () => {
  const extra = [{ disk: "data", pool: "slow", volume: `socle-${ID}-data.qcow2`, capacityBytes: 7 }];
  const noted: Snapshots = { ...noSnapshots, extra };
  assert.deepEqual(snapshotsOf(ID, snapshotsText(noted) ?? ""), noted);
  const own = ownVolumes({ ...spec, snapshots: noted }).map(({ pool, volume }) => `${pool}/${volume}`);
  assert.deepEqual(own.slice(-1), [`slow/socle-${ID}-data.qcow2`]);
  assert.equal(newDiskBytes({ ...spec, snapshots: noted }), newDiskBytes(spec) + 7);
  const foreign = [{ ...extra[0], volume: "socle-6f1c2f1e-0000-4000-8000-000000000002-data.qcow2" }];
  assert.throws(
    () => snapshotsOf(ID, JSON.stringify({ ...noSnapshots, extra: foreign })),
    /no layer of disk/,
  );
});

test("the volumes that a detached disk has left are noted with their pool, and deleted with the VM", () => {
  const loose = [
    { disk: "data", volume: layerName(ID, "data", "aaaaaaaa") },
    { disk: "root", volume: a },
  ];
  const left = withoutDisk({ ...noSnapshots, loose }, spec.disks[1]);
  assert.deepEqual(left.loose, [{ disk: "root", volume: a }]);
  const without = { ...spec, disks: spec.disks.slice(0, 1), snapshots: left };
  const own = ownVolumes(without).map(({ pool, volume }) => `${pool}/${volume}`);
  assert.deepEqual(own, [`fast/${first}`, `fast/${a}`, `large/${layerName(ID, "data", "aaaaaaaa")}`]);
});

test("memory is named by its VM, and a file that is left is noted without a snapshot", () => {
  const mine = { directory: "/memory", file: memoryName(ID, "0a1b2c3d") };
  const loose: Snapshots = { ...noSnapshots, looseMemory: [mine] };
  assert.deepEqual(snapshotsOf(ID, snapshotsText(loose) ?? ""), loose);
  assert.equal(snapshotsText(withLooseMemory(loose, [])), undefined);
  const kept: Snapshots = {
    ...two,
    snapshots: two.snapshots.map((each) => ({ ...each, memory: { ...mine, bytes: 5 } })),
  };
  assert.deepEqual(memoryFilesOf(snapshotsOf(ID, snapshotsText(kept) ?? "")), [mine, mine]);
  const other = "6f1c2f1e-0000-4000-8000-000000000002";
  for (const file of [
    memoryName(other, "0a1b2c3d"),
    `socle-${ID}.0a1b2c3d.elf`,
    `socle-${ID}./../x.memory`,
  ]) {
    const theirs = snapshotsText({ ...noSnapshots, looseMemory: [{ ...mine, file }] }) ?? "";
    assert.throws(() => snapshotsOf(ID, theirs), /no memory of this VM/);
  }
});
