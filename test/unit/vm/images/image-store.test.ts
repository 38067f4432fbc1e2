import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { dataVolume, manifestVolume, newImageId, type Image } from "../../../../agent/vm/images/image.ts";
import { ImageStore } from "../../../../agent/vm/images/image-store.ts";
import type { FoundImage } from "../../../../agent/vm/images/image-volumes.ts";

const HOST = "host-a";
const image = (change: Partial<Image> = {}): Image => ({
  id: newImageId(HOST),
  name: "debian",
  tenant: "",
  sha256: "ab".repeat(32),
  format: "qcow2",
  sizeBytes: 1000,
  capacityBytes: 2000,
  createdAtMs: 1,
  pool: "default",
  ...change,
});

/** A store over pools that the test changes. */
function stage() {
  const pools = {
    published: [] as Image[],
    /** Parts without a whole manifest. */
    parts: [] as FoundImage[],
    unread: [] as string[],
    isAway: false,
    used: new Set<string>(),
    refusal: undefined as SocleError | undefined,
  };
  const removed: string[] = [];
  const held = new Set<string>();
  const whole = (each: Image): FoundImage => ({
    ...each,
    volumes: [dataVolume(each).volume, manifestVolume(each).volume],
  });
  const store = new ImageStore({
    volumes: {
      list: () =>
        pools.isAway
          ? Promise.reject(new SocleError("unavailable", "LIBVIRT_DISCONNECTED", "away"))
          : Promise.resolve({ found: [...pools.published.map(whole), ...pools.parts], unread: pools.unread }),
      published: ({ id }) => Promise.resolve(pools.published.find((each) => each.id === id)),
      removeLeftover: ({ id }) => Promise.resolve(void removed.push(id)),
    },
    hostId: () => HOST,
    permit: {
      get refusal() {
        return pools.refusal;
      },
    },
    untilListed: () => Promise.resolve(),
    isUsed: ({ id }) => Promise.resolve(pools.used.has(id)),
    room: { keep: ({ id }) => void held.add(id), removed: ({ id }) => void held.delete(id) },
    clock: systemClock,
    log: silentLog,
  });
  const names = (): string[] => store.all().map(({ name }) => name);
  return { store, pools, removed, held, names };
}

const reasonOf = (act: () => unknown): string => {
  try {
    act();
  } catch (thrown) {
    return toSocleError(thrown).reason;
  }
  return "none";
};

const partOf = (each: Image): FoundImage => ({
  id: each.id,
  pool: each.pool,
  volumes: [dataVolume(each).volume],
});

test("before the pools were read, no image is reported as absent", async () => {
  const { store, pools } = stage();
  pools.isAway = true;
  assert.equal(
    reasonOf(() => store.all()),
    "IMAGES_UNKNOWN",
  );
  assert.equal(
    reasonOf(() => store.require("debian", "")),
    "IMAGES_UNKNOWN",
  );
  await assert.rejects(store.refresh());
  assert.equal(
    reasonOf(() => store.all()),
    "IMAGES_UNKNOWN",
  );
});

test("the pools' images are known, and counted, until their volumes are gone", async () => {
  const { store, pools, held, names } = stage();
  const debian = image();
  pools.published = [debian];
  await store.refresh();
  assert.deepEqual([names(), [...held]], [["debian"], [debian.id]]);
  pools.published = [];
  await store.refresh();
  assert.deepEqual([names(), [...held]], [[], []]);
});

test("the images of a pool that does not answer stay as last seen", async () => {
  const { store, pools, names } = stage();
  pools.published = [image(), image({ name: "other", pool: "fast" })];
  await store.refresh();
  [pools.published, pools.unread] = [[], ["fast"]];
  await store.refresh();
  assert.deepEqual(names(), ["other"]);
  assert.deepEqual(store.unreadPools, ["fast"]);
});

test("leftovers are removed, except those of other hosts, of imports, and in use", async () => {
  const { store, pools, removed } = stage();
  const [left, importing, used] = [image(), image(), image()];
  const foreign = image({ id: newImageId("host-b") });
  pools.parts = [left, importing, used, foreign].map(partOf);
  pools.used.add(used.id);
  const intent = {};
  store.expect(importing, intent);
  await store.refresh();
  assert.deepEqual(removed, [left.id]);
  pools.parts = [partOf(importing)];
  store.expectNoMore(importing.id, intent);
  await store.refresh();
  assert.deepEqual(removed, [left.id, importing.id]);
});

test("an agent that may change nothing removes nothing", async () => {
  const { store, pools, removed } = stage();
  pools.parts = [partOf(image())];
  pools.refusal = new SocleError("unavailable", "LEASE_HELD", "another agent");
  await store.refresh();
  assert.deepEqual(removed, []);
});

test("a name means the tenant's own image, then the public one, and never another tenant's", async () => {
  const { store, pools } = stage();
  const [open, red, blue] = [image(), image({ tenant: "red" }), image({ tenant: "blue", name: "secret" })];
  pools.published = [open, red, blue];
  await store.refresh();
  assert.equal(store.require("debian", "red").id, red.id);
  assert.equal(store.require("debian", "blue").id, open.id);
  assert.equal(store.require("debian", "").id, open.id);
  assert.equal(store.require(blue.id, "").id, blue.id);
  assert.equal(store.require(blue.id, "blue").id, blue.id);
  for (const named of ["secret", blue.id])
    assert.equal(
      reasonOf(() => store.require(named, "red")),
      "IMAGE_NOT_FOUND",
      named,
    );
});

test("an image that is deleted while the pools are read stays withdrawn", async () => {
  const { store, pools, held, names } = stage();
  const deleted = image();
  pools.published = [deleted];
  await store.refresh();
  const reading = store.refresh();
  store.withdraw(deleted.id);
  await reading;
  assert.deepEqual([names(), [...held]], [[], []]);
});
