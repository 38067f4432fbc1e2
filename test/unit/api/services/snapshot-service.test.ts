import assert from "node:assert/strict";
import { test } from "node:test";
import { snapshotService } from "../../../../agent/api/services/snapshot-service.ts";
import { ErrorEncoder } from "../../../../agent/api/convert/errors.ts";
import type { Snapshots } from "../../../../agent/vm/model/snapshots.ts";
import { ApiClient, errorOf, protos, startApi, vm } from "../../../support/api/harness.ts";

const ID = "11111111-1111-4111-8111-111111111111";
const snapshots: Snapshots = {
  snapshots: [
    { id: "00000001", name: "one", createdAtMs: 1_700_000_000_000, volumes: { root: "a", data: "b" } },
    {
      ...{ id: "00000002", name: "two", description: "why", parent: "00000001", createdAtMs: 2 },
      ...{ quiesced: true, deleting: true, volumes: { root: "c" } },
    },
  ],
  current: "00000002",
  active: {},
  loose: [],
};

test("snapshots are read from memory, as a tree, by name and id", async (t) => {
  const { socket, table } = await startApi(t);
  table.put({ ...vm(ID, { snapshots }), name: "web" });
  const client = new ApiClient(t, `unix:${socket}`);
  const { GetSnapshot, ListSnapshots } = protos.snapshots;
  const { snapshots: found } = await client.call(ListSnapshots, { vm: "web" });
  assert.deepEqual(
    found.map(({ name, parentId, state, current, quiesced, memoryBytes, disks }) => [
      ...[name, parentId, state, current, quiesced, memoryBytes],
      disks.join(),
    ]),
    [
      ["one", "", "SNAPSHOT_STATE_READY", false, false, 0, "root,data"],
      ["two", "00000001", "SNAPSHOT_STATE_DELETING", true, true, 0, "root"],
    ],
  );
  for (const snapshot of ["two", "00000002"])
    assert.equal((await client.call(GetSnapshot, { vm: ID, snapshot })).description, "why");
  const missing = await errorOf(client.call(GetSnapshot, { vm: "web", snapshot: "three" }));
  assert.equal(missing.info.reason, "SNAPSHOT_NOT_FOUND");
  assert.match(missing.fields["snapshot"] ?? "", /it has one, two/);
  assert.equal((await errorOf(client.call(ListSnapshots, { vm: "other" }))).info.reason, "VM_NOT_FOUND");
  const unnamed = await errorOf(client.call(GetSnapshot, { vm: "web" }));
  assert.deepEqual(Object.keys(unnamed.fields), ["snapshot"]);
});

test("another tenant's snapshots appear absent, like its VM", async (t) => {
  const { table, dependencies } = await startApi(t);
  table.put({ ...vm(ID, { snapshots, tenant: "acme" }), name: "web" });
  const service = snapshotService(dependencies, new ErrorEncoder(protos));
  const caller = {
    name: "spiffe://cloud.example/scheduler/s/tenant/evil",
    role: "scheduler",
    tenant: "evil",
  };
  const context = { caller } as Parameters<typeof service.ListSnapshots>[1];
  for (const read of [
    async () => await service.ListSnapshots({ vm: "web" }, context),
    async () => await service.GetSnapshot({ vm: ID, snapshot: "one" }, context),
    async () =>
      await service.DeleteSnapshot(
        { requestId: "1", vm: "web", snapshot: "one", etag: "", validateOnly: false },
        context,
      ),
  ])
    await assert.rejects(read, { reason: "VM_NOT_FOUND" });
});

test("changes of snapshots carry their request to the VM layer", async (t) => {
  const { socket, requests } = await startApi(t);
  const client = new ApiClient(t, `unix:${socket}`);
  const { CreateSnapshot, DeleteSnapshot, RevertSnapshot } = protos.snapshots;
  const web = { vm: "web" };
  await client.call(CreateSnapshot, { requestId: "1", ...web, name: "one", quiesce: true, etag: "e" });
  await client.call(DeleteSnapshot, { requestId: "2", ...web, snapshot: "one", validateOnly: true });
  await client.call(RevertSnapshot, { requestId: "3", ...web, snapshot: "one", force: true });
  await client.call(CreateSnapshot, { requestId: "4", ...web, name: "two", memory: true });
  await client.call(RevertSnapshot, { requestId: "5", ...web, snapshot: "two", discardMemory: true });
  const plain = { ...web, etag: undefined, validateOnly: false };
  const made = { description: undefined };
  assert.deepEqual(
    requests.map(([kind, request]) => [kind, request]),
    [
      [
        "CREATE_SNAPSHOT",
        { ...plain, ...made, requestId: "1", etag: "e", name: "one", quiesce: true, memory: false },
      ],
      ["DELETE_SNAPSHOT", { ...plain, requestId: "2", snapshot: "one", validateOnly: true }],
      ["REVERT_SNAPSHOT", { ...plain, requestId: "3", snapshot: "one", force: true, discardMemory: false }],
      ["CREATE_SNAPSHOT", { ...plain, ...made, requestId: "4", name: "two", quiesce: false, memory: true }],
      ["REVERT_SNAPSHOT", { ...plain, requestId: "5", snapshot: "two", force: false, discardMemory: true }],
    ],
  );
});
