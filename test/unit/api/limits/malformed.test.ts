// Malformed protobuf requests, and numbers outside their range.
import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { RequestShapes } from "../../../../agent/api/limits/request-shapes.ts";
import { eventually } from "../../../support/wait.ts";
import { ApiClient, errorOf, protos, startApi, vm } from "../../../support/api/harness.ts";
import { RawClient } from "../../../support/api/raw-client.ts";

const { CreateVm, StartVm, GetVm, Console, WatchVms } = protos.vms;
/** A field of a wire type that does not exist. */
const torn = Buffer.from([0x0f]);

test("a malformed request fails with INVALID_ARGUMENT, and a malformed mutation is audited", async (t) => {
  const api = await startApi(t, { listen: "127.0.0.1:0" });
  const client = new RawClient(t, api.socket, 65_535);
  for (const { path } of [GetVm, StartVm, CreateVm, Console, WatchVms, protos.health.Check])
    assert.equal(await client.status(path, torn), status.INVALID_ARGUMENT, path);
  assert.deepEqual(api.requests, []);
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

test("a caller without permission gets PERMISSION_DENIED, whatever the request is", async (t) => {
  const api = await startApi(t);
  const client = new RawClient(t, api.socket, 65_535);
  assert.equal(await client.status(protos.audit.ListAuditEntries.path, torn), status.PERMISSION_DENIED);
});

test("a number beyond 2^53 - 1 fails with INVALID_ARGUMENT and its field", async (t) => {
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
  assert.deepEqual(api.requests, [], "no operation began");
  await eventually(() => api.audited.length === 4);
  assert.ok(api.audited.every(({ act, reason }) => act === "call_refused" && reason === "REQUEST_INVALID"));

  const largest = { requestId: "r-2", vm: "vm-1", placementEpoch: Number.MAX_SAFE_INTEGER };
  assert.equal((await client.call(StartVm, largest)).kind, "START_VM");
});

test("a request with more elements than any valid one is refused before it is decoded", async (t) => {
  const decoded = t.mock.method(CreateVm, "requestDeserialize");
  const api = await startApi(t);
  const client = new RawClient(t, api.socket, 65_535);
  for (const [what, field, bytes] of [
    ["empty NICs", 11, 200_000],
    ["empty labels", 15, 200_000],
    ["names that repeat", 1, 200_000],
  ] as const) {
    const spec = Buffer.alloc(bytes, Buffer.from([field * 8 + 2, 0]));
    const request = CreateVm.requestSerialize({ requestId: "r" });
    const whole = Buffer.concat([request, Buffer.from([2 * 8 + 2]), varint(spec.length), spec]);
    assert.equal(await client.status(CreateVm.path, whole), status.INVALID_ARGUMENT, what);
  }
  assert.equal(decoded.mock.callCount(), 0);
  assert.deepEqual(api.audited.map(({ reason }) => reason).slice(0, 1), ["REQUEST_TOO_LARGE"]);
});

test("the largest valid spec is decoded", () => {
  const shapes = new RequestShapes(protos.descriptorSet);
  const range = (count: number): number[] => Array.from({ length: count }, (_, at) => at);
  const spec = {
    name: "x".repeat(63),
    vcpus: 512,
    memoryBytes: 2 ** 40,
    cpuTopology: { sockets: 2, cores: 128, threads: 2 },
    tenant: "x".repeat(63),
    labels: Object.fromEntries(range(64).map((at) => [`${"k".repeat(60)}${at}`, "\u6f22".repeat(255)])),
    disks: range(24).map((at) => ({
      name: `disk-${at}`,
      newVolume: { pool: "images", capacityBytes: 2 ** 40, baseVolume: "x".repeat(200) },
    })),
    nics: range(16).map((at) => ({
      name: `nic-${at}`,
      network: "x".repeat(200),
      mac: "52:54:00:00:00:01",
      allowedAddresses: range(16).map(() => "2001:db8:0000:0000:0000:0000:0000:0001"),
    })),
    placement: { devices: range(16).map((at) => `0000:00:${at}.0`), dedicatedCpus: true },
  };
  const request = CreateVm.requestSerialize({ requestId: "r", spec, leaveStopped: true });
  shapes.check(CreateVm.path, request);
  assert.ok(request.length < 128 * 1024, "half of what the server accepts");
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push((rest % 128) + (rest >= 128 ? 128 : 0));
    if (rest < 128) return Buffer.from(bytes);
  }
}
