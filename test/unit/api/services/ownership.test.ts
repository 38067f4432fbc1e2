// What a tenant reads of an error that names VMs, images and volumes: its own.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { ErrorEncoder } from "../../../../agent/api/convert/errors.ts";
import { operationService } from "../../../../agent/api/services/operation-service.ts";
import { ownership } from "../../../../agent/api/services/ownership.ts";
import { Slice } from "../../../../agent/kernel/concurrency/slice.ts";
import { imageKey } from "../../../../agent/state/operations/subject.ts";
import { newImageId, type Image } from "../../../../agent/vm/images/image.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import { requireImageUnused } from "../../../../agent/vm/operations/delete-image.ts";
import type { VmSpec } from "../../../../agent/contract/spec.ts";
import { protos } from "../../../support/api/client.ts";
import { startApi, vm } from "../../../support/api/harness.ts";

const own = "11111111-1111-4111-8111-111111111111";
const theirs = "22222222-2222-4222-8222-222222222222";
const red = {
  name: "spiffe://cloud.example/operator/o/tenant/red",
  role: "operator",
  tenant: "red",
} as const;
const provider = { name: "unix:operator", role: "operator" } as const;

const imageOf = (tenant: string): Image => ({
  id: newImageId("host"),
  name: `base-${tenant}`,
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
  const owns = ownership(api.dependencies);
  const errors = new ErrorEncoder(protos, owns);
  const { GetOperation } = operationService(api.dependencies, errors);
  const get = async (operationId: string, caller: typeof red | typeof provider) => {
    const context = { caller, signal: new AbortController().signal, slice: () => new Slice() };
    return await GetOperation({ operationId }, context);
  };
  return { ...api, owns, errors, get };
}

/** A VM with a disk over the image. */
const over = (image: Image, id: string, name: string, tenant: string): Vm => {
  const baseVolume = `socle-image-${image.id}.qcow2`;
  const source = { kind: "new", pool: "default", capacityBytes: 1, format: "qcow2", baseVolume };
  const spec = { id, name, tenant, disks: [{ name: "root", readOnly: false, source }], nics: [] };
  return { ...vm(id, { tenant }), name, spec: spec as unknown as VmSpec };
};

test("a tenant's deletion of an image in use shows it its own VMs alone, and the provider all", async (t) => {
  const { table, operations, get, imageStore } = await stage(t);
  const image = imageOf("red");
  imageStore.publish(image);
  const users = [over(image, own, "web", "red"), over(image, theirs, "payroll", "")];
  for (const each of users) table.put(each);
  const deleted = async (vms: readonly Vm[], requestId: string): Promise<string> => {
    const { operation } = await operations.begin({
      ...{ requestId, caller: red.name, kind: "DELETE_IMAGE", vmId: imageKey(image.id), tenant: "red" },
      ...{ byTenant: true, fingerprint: requestId, intent: {} },
    });
    await operations.run(operation, async () => {
      await Promise.resolve();
      requireImageUnused(image, { vms, creations: [] });
      return {};
    }).ended;
    return operation.id;
  };
  const both = await deleted(users, "a");
  const seen = JSON.stringify(await get(both, red));
  assert.match(seen, /in use, and not by your own VMs alone/);
  for (const mark of ["payroll", theirs]) assert.ok(!seen.includes(mark), seen);
  assert.match((await get(both, provider)).error?.message ?? "", /VM web; VM payroll/);
  const [mine] = users;
  assert.ok(mine !== undefined);
  assert.match((await get(await deleted([mine], "b"), red)).error?.message ?? "", /in use by VM web: delete/);
});

test("a tenant owns its VMs, operations and volumes, and sees public images", async (t) => {
  const { table, operations, imageStore, owns } = await stage(t);
  table.put(vm(own, { tenant: "red" }));
  table.put(vm(theirs, { tenant: "blue" }));
  const [open, mine, other] = [imageOf(""), imageOf("red"), imageOf("blue")];
  for (const each of [open, mine, other]) imageStore.publish(each);
  const gone = "33333333-3333-4333-8333-333333333333";
  const begin = async (vmId: string, tenant: string): Promise<string> =>
    (
      await operations.begin({
        ...{ requestId: vmId, caller: `c-${tenant}`, kind: "STOP_VM", vmId, tenant },
        ...{ fingerprint: vmId, intent: {} },
      })
    ).operation.id;
  const [deleted, foreign] = [await begin(gone, "red"), await begin(theirs, "blue")];
  const seen = (word: string): boolean => owns(red, word);
  for (const word of [own, open.id, mine.id, gone, deleted, `socle-${own}-root.qcow2`])
    assert.ok(seen(word), word);
  assert.ok(seen("socle-volume-red+data.qcow2"));
  for (const word of [theirs, other.id, foreign, `socle-${theirs}-root.qcow2`, "", "anything"])
    assert.ok(!seen(word), word);
  assert.ok(!seen("socle-volume-blue+data.qcow2"));
});
