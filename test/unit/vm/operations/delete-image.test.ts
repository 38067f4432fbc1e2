import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { Topic } from "../../../../agent/kernel/concurrency/topic.ts";
import { dataVolume, newImageId, type Image } from "../../../../agent/vm/images/image.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { deleteImage } from "../../../../agent/vm/operations/delete-image.ts";
import type { WorkRun } from "../../../../agent/vm/operations/work.ts";
import type { Dependents } from "../../../../agent/vm/storage/overlay-search.ts";
import { noOtherNames } from "../../../../agent/vm/storage/storage-names.ts";
import { Volumes } from "../../../../agent/vm/storage/volumes.ts";
import { storeOfNothing } from "../../../support/vm/image-parts.ts";
import { steps } from "../../../support/vm/steps.ts";
import { workContext } from "../../../support/vm/work-context.ts";

const image: Image = {
  id: newImageId("test"),
  name: "debian",
  tenant: "",
  sha256: "ab".repeat(32),
  format: "qcow2",
  sizeBytes: 1000,
  capacityBytes: 2000,
  createdAtMs: 1,
  pool: "images",
};
const silent = {
  call: () => new Promise<never>(() => undefined),
  openStream: () => new Promise<never>(() => undefined),
  events: new Topic<never>(),
};

/** Deletes the image; returns the reason of a refusal, and the volumes that were removed. */
async function deleted(
  dependents: Partial<Dependents>,
  { resumed = false, isPublished = true, isRead = true } = {},
): Promise<{ reason: string; removed: string[]; isKept: boolean }> {
  const table = new VmTable();
  table.completed(1);
  const context = workContext(silent, systemClock, table);
  const store = storeOfNothing();
  if (isRead) await store.refresh();
  if (isPublished && isRead) store.publish(image);
  const removed: string[] = [];
  const volumes = new Volumes(silent, systemClock);
  volumes.dependents = () => Promise.resolve({ paths: [], overlays: [], backings: [], ...dependents });
  volumes.names.of = () => Promise.resolve(noOtherNames);
  const { volumes: imageVolumes } = context.images;
  imageVolumes.remove = (of) => Promise.resolve(void removed.push(dataVolume(of).volume));
  imageVolumes.publishedAs = () => Promise.resolve(isPublished ? image : undefined);
  const run = { vmId: "", operationId: "o", step: steps(), resumed } as unknown as WorkRun;
  const images = { ...context.images, store };
  const reason = await deleteImage.run({ ...context, volumes, images }, { image }, run).then(
    () => "none",
    (thrown: unknown) => toSocleError(thrown).reason,
  );
  return { reason, removed, isKept: store.find(image.id) !== undefined };
}

test("an image that nothing uses is deleted", async () => {
  const { volume } = dataVolume(image);
  assert.deepEqual(await deleted({}), { reason: "none", removed: [volume], isKept: false });
});

test("an image with an overlay, or with overlays that are not known, is kept", async () => {
  const overlays = [{ pool: "images", volume: "over.qcow2" }];
  assert.deepEqual(await deleted({ overlays }), { reason: "IMAGE_IN_USE", removed: [], isKept: true });
  const unsearched = ["images"];
  assert.deepEqual(await deleted({ unsearched }), { reason: "VOLUME_UNREADABLE", removed: [], isKept: true });
  assert.equal((await deleted({ unsearched: ["other"] })).reason, "none");
});

test("a deletion that was interrupted after its first effect goes on", async () => {
  const overlays = [{ pool: "images", volume: "over.qcow2" }];
  const { reason, removed } = await deleted({ overlays }, { resumed: true, isPublished: false });
  assert.deepEqual([reason, removed.length], ["none", 1]);
});

test("an interrupted deletion that had no effect yet looks for users, also before the store has read the pool", async () => {
  const overlays = [{ pool: "images", volume: "over.qcow2" }];
  const { reason, removed } = await deleted({ overlays }, { resumed: true, isRead: false });
  assert.deepEqual([reason, removed], ["IMAGE_IN_USE", []]);
});
