// Requests that are no messages of the contract, or whose numbers do not fit.
import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { eventually } from "../../lab/wait.ts";
import { ApiClient, errorOf, protos, startApi, vm } from "./harness.ts";
import { RawClient } from "./raw-client.ts";

const { CreateVm, StartVm, GetVm, Console, WatchVms } = protos.vms;
/** A field of a wire type that there is not. */
const torn = Buffer.from([0x0f]);

test("a malformed request is INVALID_ARGUMENT, of a change with a refusal in the audit log", async (t) => {
  const api = await startApi(t, { listen: "127.0.0.1:0" });
  const client = new RawClient(t, api.socket, 65_535);
  for (const { path } of [GetVm, StartVm, CreateVm, Console, WatchVms, protos.health.Check])
    assert.equal(await client.status(path, torn), status.INVALID_ARGUMENT, path);
  assert.deepEqual(api.asked, []);
  await eventually(() => api.audited.length === 3);
  assert.deepEqual(
    api.audited.map(({ act, method, outcome, reason, caller }) => [
      act,
      method,
      outcome,
      reason,
      caller?.name,
    ]),
    [StartVm, CreateVm, Console].map(({ path }) => [
      "call_refused",
      path,
      "failed",
      "REQUEST_MALFORMED",
      "unix:operator",
    ]),
  );
});

test("who may not make the call hears that, whatever the request is", async (t) => {
  const api = await startApi(t);
  const client = new RawClient(t, api.socket, 65_535);
  assert.equal(await client.status(protos.audit.ListAuditEntries.path, torn), status.PERMISSION_DENIED);
});

test("a number beyond 2^53 - 1 is INVALID_ARGUMENT and names its field", async (t) => {
  const api = await startApi(t);
  api.table.put(vm("vm-1"));
  const client = new ApiClient(t, `unix:${api.socket}`);
  const tooLarge = ["9007199254740992", "9007199254740993", "18446744073709551615"];
  for (const placementEpoch of tooLarge) {
    const refused = await errorOf(client.call(StartVm, { requestId: "r", vm: "vm-1", placementEpoch }));
    assert.deepEqual(
      [refused.code, refused.info.reason, Object.keys(refused.fields)],
      [status.INVALID_ARGUMENT, "REQUEST_INVALID", ["placement_epoch"]],
    );
  }
  const spec = { name: "x", vcpus: 1, memoryBytes: "9007199254740992" };
  const refused = await errorOf(client.call(CreateVm, { requestId: "r", spec }));
  assert.deepEqual(Object.keys(refused.fields), ["spec.memory_bytes"]);
  assert.deepEqual(api.asked, [], "nothing was begun");
  await eventually(() => api.audited.length === 4);
  assert.ok(api.audited.every(({ act, reason }) => act === "call_refused" && reason === "REQUEST_INVALID"));

  const largest = { requestId: "r-2", vm: "vm-1", placementEpoch: Number.MAX_SAFE_INTEGER };
  assert.equal((await client.call(StartVm, largest)).kind, "START_VM");
});
