import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Caller } from "../../../../agent/api/auth/identity.ts";
import { ErrorEncoder } from "../../../../agent/api/convert/errors.ts";
import { operationToProto } from "../../../../agent/api/convert/operation.ts";
import { imageService } from "../../../../agent/api/services/image-service.ts";
import { Slice } from "../../../../agent/kernel/concurrency/slice.ts";
import { toSocleError } from "../../../../agent/kernel/errors.ts";
import { imageKey } from "../../../../agent/state/operations/subject.ts";
import { dataVolume, newImageId, type Image } from "../../../../agent/vm/images/image.ts";
import type { VmSpec } from "../../../../agent/contract/spec.ts";
import { protos } from "../../../support/api/client.ts";
import { startApi, vm } from "../../../support/api/harness.ts";

const image = (name: string, tenant: string): Image => ({
  id: newImageId("host"),
  name,
  tenant,
  sha256: "ab".repeat(32),
  format: "qcow2",
  sizeBytes: 1000,
  capacityBytes: 2000,
  createdAtMs: 1_700_000_000_000,
  pool: "default",
});

async function stage(t: TestContext) {
  const api = await startApi(t);
  const errors = new ErrorEncoder(protos);
  const service = imageService(api.dependencies, errors);
  const contextOf = (tenant?: string) => {
    const caller: Caller = {
      name: `c-${tenant}`,
      role: "scheduler",
      ...(tenant === undefined ? {} : { tenant }),
    };
    return {
      caller,
      signal: new AbortController().signal,
      slice: () => new Slice(),
    };
  };
  const list = async (request: object = {}, tenant?: string) =>
    await service.ListImages({ pageSize: 0, pageToken: "", tenant: "", ...request }, contextOf(tenant));
  return { ...api, errors, service, contextOf, list };
}

const reasonOf = async (act: () => unknown): Promise<string> => {
  try {
    await act();
    return "none";
  } catch (thrown) {
    return toSocleError(thrown).reason;
  }
};

test("a caller of one tenant sees its own images and the public ones, and acts for its tenant alone", async (t) => {
  const { imageStore, service, contextOf, list, requests } = await stage(t);
  const [open, red, blue] = [image("open", ""), image("mine", "red"), image("mine", "blue")];
  for (const each of [open, red, blue]) imageStore.publish(each);
  const idsOf = async (request: object, tenant?: string): Promise<unknown[]> =>
    ((await list(request, tenant)).images ?? []).map(({ imageId }) => imageId);
  assert.deepEqual(await idsOf({}, "red"), [open.id, red.id]);
  assert.deepEqual(await idsOf({ tenant: "blue" }), [open.id, blue.id]);
  assert.deepEqual(await idsOf({}), [open.id, blue.id, red.id]);
  assert.equal(await reasonOf(() => list({ tenant: "blue" }, "red")), "TENANT_DENIED");

  const get = (named: string, tenant?: string) =>
    service.GetImage({ image: named, tenant: "" }, contextOf(tenant));
  assert.equal((await get("mine", "red")).imageId, red.id);
  assert.equal(await reasonOf(() => get(blue.id, "red")), "IMAGE_NOT_FOUND");
  assert.equal((await get(blue.id)).imageId, blue.id);

  const asked = {
    requestId: "r",
    url: "https://a/x",
    sha256: "",
    name: "n",
    format: "DISK_FORMAT_UNSPECIFIED",
    pool: "",
    volume: null,
  } as const;
  await service.ImportImage({ ...asked, tenant: "" }, contextOf("red"));
  const { tenant, onlyTenant, format, ...rest } = (requests.at(-1)?.[1] ?? {}) as Record<string, unknown>;
  assert.deepEqual([tenant, onlyTenant, format], ["red", "red", "qcow2"]);
  // A repeated request of an earlier version has the same fingerprint.
  assert.ok(!("volume" in rest));
  const volume = { pool: "fast", volume: "x.raw" };
  await service.ImportImage({ ...asked, url: "", volume, tenant: "" }, contextOf("red"));
  const from = (requests.at(-1)?.[1] ?? {}) as Record<string, unknown>;
  assert.deepEqual([from["volume"], from["onlyTenant"], from["format"]], [volume, "red", undefined]);
  assert.equal(
    await reasonOf(() => service.ImportImage({ ...asked, tenant: "blue" }, contextOf("red"))),
    "TENANT_DENIED",
  );
});

test("a page of images continues where the last one ended", async (t) => {
  const { imageStore, list } = await stage(t);
  for (const name of ["c", "a", "b"]) imageStore.publish(image(name, ""));
  const first = await list({ pageSize: 2 });
  const second = await list({ pageSize: 2, pageToken: first.nextPageToken });
  assert.deepEqual(
    [...(first.images ?? []), ...(second.images ?? [])].map(({ name }) => name),
    ["a", "b", "c"],
  );
  assert.equal(second.nextPageToken, "");
});

test("the users of an image are the VMs that the caller sees", async (t) => {
  const { imageStore, table, list } = await stage(t);
  const open = image("open", "");
  imageStore.publish(open);
  const source = {
    kind: "new",
    pool: "default",
    format: "qcow2",
    baseVolume: dataVolume(open).volume,
  } as const;
  for (const [at, tenant] of ["red", "blue"].entries()) {
    const id = `1111111${at}-1111-4111-8111-111111111111`;
    const spec = { id, disks: [{ name: "root", source, readOnly: false }] } as unknown as VmSpec;
    table.put({ ...vm(id, { tenant }), spec, createdAtMs: 5000 });
  }
  const [seen] = (await list()).images ?? [];
  assert.deepEqual([seen?.users, seen?.usedAt?.seconds], [2, 5]);
  assert.equal((await list({}, "red")).images?.[0]?.users, 1);
});

test("an operation on an image names the image, and no VM", async (t) => {
  const { operations, errors } = await stage(t);
  const { operation } = await operations.begin({
    requestId: "i",
    caller: "c",
    kind: "IMPORT_IMAGE",
    vmId: imageKey("an-id"),
    fingerprint: "f",
    intent: {},
  });
  const { vmId, imageId } = operationToProto(operation, errors, { name: "c" });
  assert.deepEqual([vmId, imageId], ["", "an-id"]);
});
