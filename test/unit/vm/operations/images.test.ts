import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { imageKey, subjectOf } from "../../../../agent/state/operations/subject.ts";
import { dataVolume, newImageId, type Image } from "../../../../agent/vm/images/image.ts";
import { PoolVolumes } from "../../../../agent/vm/operations/pool-volumes.ts";
import { Images, type ImportRequest } from "../../../../agent/vm/operations/images.ts";
import { admission, GIB } from "../../../support/vm/admission-stage.ts";
import { anyRawFiles } from "../../../support/vm/raw-files.ts";

const digest = "ab".repeat(32);

async function stage(t: TestContext) {
  const admitted = await admission(t);
  const { vms, store } = admitted;
  const images = new Images({ vms, store, uploads: new Map(), hostId: () => "host", pool: "images" });
  let requests = 0;
  const importOf = async (more: Partial<ImportRequest> = {}, caller = "scheduler") => {
    requests += 1;
    const request = {
      requestId: `import-${requests}`,
      url: "https://a.example/x",
      sha256: digest,
      name: "debian",
    };
    return await images.import({ ...request, format: "qcow2", tenant: "", ...more }, caller);
  };
  const publish = (change: Partial<Image> = {}): Image => {
    const image: Image = {
      id: newImageId("host"),
      name: "debian",
      tenant: "",
      sha256: digest,
      format: "qcow2",
      sizeBytes: 1000,
      capacityBytes: GIB,
      createdAtMs: 1,
      pool: "images",
      ...change,
    };
    store.publish(image);
    return image;
  };
  return { ...admitted, images, importOf, publish };
}

const reasonOf = async (work: Promise<unknown>): Promise<string> =>
  await work.then(
    () => "none",
    (thrown: unknown) => toSocleError(thrown).reason,
  );

const disk = (source: object) => ({
  disks: [{ name: "root", source: { kind: "new", pool: "images", ...source } }],
});

test("imports of one digest, name and tenant are on one image; a repeated request is one operation", async (t) => {
  const { importOf } = await stage(t);
  const first = await importOf();
  const second = await importOf();
  assert.notEqual(second.id, first.id);
  assert.deepEqual(subjectOf(second), subjectOf(first));
  const again = await importOf({ requestId: first.requestId });
  assert.equal(again.id, first.id);
  assert.equal(await reasonOf(importOf({ requestId: first.requestId, name: "other" })), "REQUEST_ID_REUSED");
});

test("a name or a digest that the tenant has is refused, and is another tenant's to take", async (t) => {
  const { importOf, publish } = await stage(t);
  publish();
  assert.equal(await reasonOf(importOf({ name: "other" })), "IMAGE_EXISTS");
  assert.equal(await reasonOf(importOf({ sha256: "cd".repeat(32) })), "IMAGE_EXISTS");
  assert.equal(await reasonOf(importOf({ format: "raw" })), "IMAGE_EXISTS");
  assert.equal(await reasonOf(importOf({ tenant: "acme" })), "none");
});

test("an import of a published image is on that image", async (t) => {
  const { importOf, publish } = await stage(t);
  const { id } = publish();
  assert.deepEqual(subjectOf(await importOf({ sha256: digest.toUpperCase() })), { imageId: id });
  // Its bytes were a VMDK's, before their conversion.
  assert.deepEqual(subjectOf(await importOf({ format: "vmdk" })), { imageId: id });
});

test("a wrong field is named", async (t) => {
  const { importOf } = await stage(t);
  for (const [field, value] of Object.entries({
    url: "/x",
    sha256: "x",
    name: "/",
    tenant: " ",
    pool: "../x",
  }))
    await assert.rejects(importOf({ [field]: value }), (thrown: unknown) => {
      assert.deepEqual(Object.keys(toSocleError(thrown).details.fields ?? {}), [field]);
      return true;
    });
});

const golden = { pool: "images", volume: "socle-volume-acme+golden.raw" };
const fromVolume = { url: "", sha256: "", volume: golden, tenant: "acme", format: undefined };

test("an image of a volume has the volume's format and tenant, and its digest is learned", async (t) => {
  const { importOf, operations, store } = await stage(t);
  const { id, tenant } = await importOf(fromVolume);
  const { image } = operations.get(id).intent as { image: Image };
  assert.deepEqual([tenant, image.format, image.sha256], ["acme", "raw", ""]);
  // Another of the same name would be of other bytes.
  assert.equal(await reasonOf(importOf(fromVolume)), "IMAGE_EXISTS");
  assert.equal(await reasonOf(importOf({ ...fromVolume, name: "other" })), "VOLUME_IN_USE");
  assert.equal(await reasonOf(importOf({ tenant: "acme", name: "first" })), "none");
  assert.throws(
    () => store.learn({ ...image, sha256: digest }, operations.get(id)),
    (thrown) => toSocleError(thrown).reason === "IMAGE_EXISTS",
  );
});

test("only a tenant's own volumes and the provider's become images, of the same tenant", async (t) => {
  const { importOf } = await stage(t);
  const of = (volume: string, more: Partial<ImportRequest> = {}) =>
    reasonOf(importOf({ ...fromVolume, volume: { pool: "images", volume }, ...more }));
  const red = { onlyTenant: "red", tenant: "red" };
  for (const volume of [golden.volume, "free.raw", "socle-volume-red+x", "socle-image-x.raw"])
    assert.equal(await of(volume, red), "VOLUME_NOT_FOUND", volume);
  assert.equal(await of(golden.volume, { tenant: "" }), "VOLUME_DENIED");
  assert.equal(await of(golden.volume, { tenant: "red" }), "VOLUME_DENIED");
  for (const volume of [
    dataVolume({ id: newImageId("host"), format: "raw", pool: "images" }).volume,
    "socle-11111111-1111-4111-8111-111111111111-root.qcow2",
    "socle-other",
  ])
    assert.equal(await of(volume), "VOLUME_DENIED", volume);
  const ofVm = { pool: "images", volume: "socle-11111111-1111-4111-8111-111111111111-root.qcow2" };
  await assert.rejects(importOf({ ...fromVolume, volume: ofVm }), {
    message: /made for a VM.*virsh vol-clone/,
  });
  for (const volume of ["../x", "", "a/b"]) assert.equal(await of(volume), "SPEC_INVALID", volume);
  assert.equal(await of("free.raw", { url: "https://a.example/x" }), "SPEC_INVALID");
  assert.equal(await of("free.raw", { tenant: "red" }), "none");
  assert.equal(await of("socle-volume-red+mine.raw", { ...red, name: "mine" }), "none");
});

test("until its image is made, a volume is refused to VMs, and not deleted", async (t) => {
  const { importOf, create, vms } = await stage(t);
  const attached = (readOnly: boolean, volume = golden) => ({
    disks: [{ name: "root", source: { kind: "volume", volume }, readOnly }],
  });
  await importOf(fromVolume);
  const isRefused = async (work: Promise<unknown>): Promise<void> =>
    await assert.rejects(work, (thrown) => {
      const { reason, message, details } = toSocleError(thrown);
      // Clients read the users as the ids of VMs, and the names of volumes.
      assert.deepEqual([reason, details.metadata], ["VOLUME_IN_USE", { users: "" }]);
      assert.match(message, /an import reads it: wait for its end, or cancel it$/);
      return true;
    });
  for (const spec of [
    attached(false),
    attached(true),
    disk({ baseVolume: golden.volume, capacityBytes: GIB }),
    { kernelBoot: { kernel: golden } },
  ])
    await isRefused(create(spec));
  const volumes = {
    activePool: (name: string) => Promise.resolve({ name, uuid: "" }),
    isThere: () => Promise.resolve(true),
    requireAbsent: () => Promise.resolve(),
    rawFiles: anyRawFiles,
    resolve: () => Promise.resolve({ path: "/p", format: "raw", capacityBytes: GIB, beneath: [] }),
  };
  const pools = new PoolVolumes({ vms, volumes, host: { storageRead: () => Promise.resolve() } });
  const asked = { requestId: "x", ...golden };
  await isRefused(pools.delete({ ...asked, erase: false }, "c"));
  await isRefused(pools.resize({ ...asked, capacityBytes: 2 * GIB }, "c"));
  await isRefused(importOf({ ...fromVolume, name: "late" }));
  // A VM that only reads another one keeps that from being imported.
  const other = { pool: "images", volume: "socle-volume-acme+other.raw" };
  assert.equal(await reasonOf(create(attached(true, other))), "none");
  const late = importOf({ ...fromVolume, name: "late", volume: other });
  await assert.rejects(late, { reason: "VOLUME_IN_USE", message: /in use by VM vm-\d+ \(being created\)/ });
});

test("an image is deleted only by those who may, and not while a VM is created over it", async (t) => {
  const { images, publish, create } = await stage(t);
  const { id } = publish({ name: "open" });
  const own = publish({ name: "own", tenant: "acme", sha256: "cd".repeat(32) });
  const remove = (image: string, onlyTenant?: string) =>
    images.delete({ requestId: `delete-${image}-${onlyTenant}`, image, tenant: "", onlyTenant }, "scheduler");
  assert.equal(await reasonOf(remove("open", "acme")), "IMAGE_DENIED");
  assert.equal(await reasonOf(remove("own", "evil")), "IMAGE_NOT_FOUND");
  assert.equal(await reasonOf(remove("none")), "IMAGE_NOT_FOUND");
  await create(disk({ image: "own", capacityBytes: 2 * GIB }));
  assert.equal(await reasonOf(remove("own", "acme")), "IMAGE_IN_USE");
  assert.equal(await reasonOf(remove(own.id)), "IMAGE_IN_USE");
  assert.deepEqual(subjectOf(await remove(id)), { imageId: id });
});

test("a VM that is created while its image is deleted is refused", async (t) => {
  const { images, publish, create, operations } = await stage(t);
  const { id } = publish();
  await images.delete({ requestId: "d", image: id, tenant: "" }, "scheduler");
  assert.equal(operations.list({ vmId: imageKey(id), limit: 1 })[0]?.state, "running");
  // The deletion marks the volume once it has the lock of its image.
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(await reasonOf(create(disk({ image: "debian", capacityBytes: 2 * GIB }))), "VOLUME_IN_USE");
});

test("a spec's image becomes the base volume, for the tenants that may use it", async (t) => {
  const { publish, create, operations } = await stage(t);
  const open = publish();
  const red = publish({ name: "red", tenant: "red" });
  const made = await create(disk({ image: "debian", capacityBytes: 2 * GIB }));
  const text = JSON.stringify(operations.get(made.id).intent);
  assert.ok(text.includes(dataVolume(open).volume));
  assert.doesNotMatch(text, /"image"/);
  for (const source of [
    { image: "red" },
    { image: red.id },
    { baseVolume: dataVolume(red).volume },
    { image: "none" },
  ])
    assert.equal(
      await reasonOf(create(disk({ ...source, capacityBytes: GIB }))),
      "IMAGE_NOT_FOUND",
      JSON.stringify(source),
    );
  for (const source of [
    { image: "debian", baseVolume: "x.qcow2" },
    { image: "debian", format: "raw" },
    { image: "debian", pool: "other" },
  ])
    assert.equal(
      await reasonOf(create(disk({ capacityBytes: GIB, ...source }))),
      "SPEC_INVALID",
      JSON.stringify(source),
    );
});

test("no VM writes to an image, or reads its manifest", async (t) => {
  const { publish, create } = await stage(t);
  const { volume } = dataVolume(publish());
  const attached = (name: string, readOnly: boolean) => ({
    disks: [{ name: "root", source: { kind: "volume", volume: { pool: "images", volume: name } }, readOnly }],
  });
  assert.equal(await reasonOf(create(attached(volume, false))), "VOLUME_DENIED");
  assert.equal(await reasonOf(create(attached(volume, true))), "none");
  assert.equal(await reasonOf(create(attached(volume.replace("qcow2", "json"), true))), "IMAGE_NOT_FOUND");
});
