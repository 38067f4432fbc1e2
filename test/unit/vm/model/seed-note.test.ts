import assert from "node:assert/strict";
import { test } from "node:test";
import {
  firstSeed,
  laterSeed,
  seedOf,
  seedText,
  type SeedNote,
} from "../../../../agent/vm/model/seed-note.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { newDiskBytes, ownVolumes, seedVolume, SEED_BYTES } from "../../../../agent/vm/model/volume-names.ts";
import { erasureOf } from "../../../../agent/vm/operations/erasure.ts";

const id = "6f2f0c4e-8c1b-4f0e-9a54-6a3f3c1b2a01";
const other = id.replace("6f2f", "7f2f");
const note: SeedNote = { pool: "p", active: laterSeed(id, "0a1b2c3d"), others: [firstSeed(id)] };
const kernelBoot = { kernel: { pool: "p", volume: "vmlinuz" } };
const spec = checkSpec(
  { id, name: "web", vcpus: 1, memoryBytes: 2 ** 26, kernelBoot, cloudInit: { pool: "p" } },
  { bridges: [], allowSpoofing: false },
);

test("the note of seeds is read back, and names no other VM's volume, and no disk's", () => {
  assert.deepEqual(seedOf(id, seedText(note) ?? ""), note);
  assert.equal(seedText({ pool: "p", others: [] }), undefined);
  assert.throws(() => seedOf(other, seedText(note) ?? ""), /no seed of this VM/);
  for (const volume of [firstSeed(other), `socle-${id}-seed.qcow2`, `socle-${id}-root.iso`, "../x"])
    assert.throws(() => seedOf(id, JSON.stringify({ ...note, others: [volume] })));
  assert.throws(() => seedOf(id, "{}"));
});

test("each seed of a VM is its own: counted, deleted and erased with it", () => {
  const owner = { ...spec, seed: note };
  assert.deepEqual(ownVolumes(spec), [{ pool: "p", volume: firstSeed(id) }]);
  const both = [note.active, firstSeed(id)].map((volume) => ({ pool: "p", volume }));
  assert.deepEqual(ownVolumes(owner), both);
  assert.deepEqual(seedVolume(owner), both[0]);
  assert.equal(newDiskBytes(owner), 2 * SEED_BYTES);
  assert.deepEqual(
    erasureOf(owner).disks.map(({ volume }) => volume),
    both,
  );
  // While the first one of a VM is made, no start uses it.
  const { cloudInit: _, ...without } = spec;
  const making = { ...without, seed: { pool: "p", others: [laterSeed(id, "1")] } };
  assert.deepEqual([ownVolumes(making).length, seedVolume(making)], [1, undefined]);
});
