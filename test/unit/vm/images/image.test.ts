import assert from "node:assert/strict";
import { test } from "node:test";
import { imageOfVolume } from "../../../../agent/contract/spec-volume-name.ts";
import {
  dataVolume,
  isMadeBy,
  manifestOf,
  manifestVolume,
  newImageId,
  readManifest,
  sourceVolume,
  type Image,
} from "../../../../agent/vm/images/image.ts";
import { vmOfVolume } from "../../../../agent/vm/model/volume-names.ts";

const image: Image = {
  id: newImageId("host-a"),
  name: "debian-13",
  tenant: "acme",
  sha256: "ab".repeat(32),
  format: "qcow2",
  sizeBytes: 400_000_000,
  capacityBytes: 3 * 2 ** 30,
  createdAtMs: 1_700_000_000_000,
  pool: "default",
};

test("a manifest gives back its image", () => {
  assert.deepEqual(readManifest(manifestOf(image), "default"), image);
});

test("a manifest that was cut, changed or only allocated is no image", () => {
  const whole = manifestOf(image);
  for (let length = 0; length < whole.length - 1; length += 1)
    assert.equal(readManifest(whole.subarray(0, length), "default"), undefined, `${length} bytes`);
  assert.equal(readManifest(Buffer.alloc(whole.length), "default"), undefined);
  const changed = Buffer.from(whole.toString().replace('"tenant":"acme"', '"tenant":""'));
  assert.equal(readManifest(changed, "default"), undefined);
});

test("an image's volumes are recognized, and are no VM's disks", () => {
  const { volume } = dataVolume(image);
  assert.deepEqual(imageOfVolume(volume), { id: image.id, part: "qcow2" });
  assert.deepEqual(imageOfVolume(manifestVolume(image).volume), { id: image.id, part: "json" });
  assert.deepEqual(imageOfVolume(sourceVolume(image).volume), { id: image.id, part: "source" });
  assert.equal(vmOfVolume(volume), undefined);
  for (const other of ["socle-image-x.qcow2", `x${volume}`, `${volume}.bak`, "debian.qcow2"])
    assert.equal(imageOfVolume(other), undefined, other);
});

test("an id shows the host that made it, and is a UUID", () => {
  assert.match(image.id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/);
  assert.equal(isMadeBy(image.id, "host-a"), true);
  assert.equal(isMadeBy(image.id, "host-b"), false);
});
