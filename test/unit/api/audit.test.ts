// Which calls are audited, and with which fields.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { methods } from "../../../agent/contract/methods.ts";
import { ApiClient, errorOf, FakeConsole, protos, startApi, vm } from "../../support/api/harness.ts";
import { eventually } from "../../support/wait.ts";

const secret = "hunter2-s3cr3t";

test("a mutation is audited before it begins, and its end after it", async (t) => {
  const api = await startApi(t);
  api.table.put(vm("vm-1", { tenant: "red" }));
  const client = new ApiClient(t, `unix:${api.socket}`);
  let admit = (): void => undefined;
  const admission = new Promise<void>((resolve) => (admit = resolve));
  const { record } = api.audit;
  api.audit.record = async (act) => {
    const sequence = await record(act);
    await admission;
    return sequence;
  };
  const call = client.call(protos.vms.StopVm, { requestId: "r-1", vm: "name-vm-1", force: true });
  await eventually(() => api.audited.length === 1);
  assert.deepEqual(api.requests, [], "the mutation does not begin before its admission is on disk");
  admit();
  const operation = await call;
  const about = {
    caller: { name: "unix:operator", role: "operator" },
    method: "/socle.v1.VmService/StopVm",
    requestId: "r-1",
    tenant: "red",
  };
  assert.deepEqual(api.audited, [
    { act: "call_admitted", ...about, vm: "vm-1", arguments: { force: true }, outcome: "allowed" },
    { act: "call_ended", of: 1, ...about, vm: "v", operation: operation.operationId, outcome: "done" },
  ]);
});

test("a mutation whose admission cannot be audited is refused, and reads go on", async (t) => {
  const api = await startApi(t);
  api.table.put(vm("vm-1"));
  api.audit.record = () => Promise.reject(new SocleError("exhausted", "AUDIT_FAILED", "the disk is full"));
  const client = new ApiClient(t, `unix:${api.socket}`);
  const refused = await errorOf(client.call(protos.vms.StartVm, { requestId: "r", vm: "vm-1" }));
  assert.equal(refused.info.reason, "AUDIT_FAILED");
  assert.equal(refused.code, 8);
  assert.deepEqual(api.requests, []);
  assert.equal((await client.call(protos.vms.GetVm, { vm: "vm-1" })).vmId, "vm-1");
  assert.deepEqual(
    api.audited.map(({ act, outcome, reason }) => [act, outcome, reason]),
    [["call_refused", "refused", "AUDIT_FAILED"]],
  );
});

test("reads are not audited; refusals and failures are, with their reason", async (t) => {
  const api = await startApi(t, { listen: "127.0.0.1:0" });
  api.table.put(vm("vm-1"));
  const operator = new ApiClient(t, `unix:${api.socket}`);
  const scheduler = new ApiClient(t, `127.0.0.1:${api.tcpPort ?? 0}`);
  await operator.call(protos.vms.ListVms, {});
  await errorOf(operator.call(protos.vms.GetVm, { vm: "none" }));
  assert.equal(api.audited.length, 0);
  await errorOf(
    scheduler.call(protos.host.SetSchedulingState, { state: "LIFECYCLE_STATE_CORDONED", reason: "x" }),
  );
  const [refused] = api.audited;
  assert.equal(refused?.act, "call_refused");
  assert.equal(refused.outcome, "denied");
  assert.equal(refused.reason, "ROLE_DENIED");
  assert.equal(refused.caller?.name, "tcp:127.0.0.1");
  assert.match(refused.caller.peer ?? "", /^127\.0\.0\.1:\d+$/);
  await operator.call(protos.host.SetSchedulingState, {
    state: "LIFECYCLE_STATE_CORDONED",
    reason: "disk swap",
  });
  await errorOf(operator.call(protos.host.SetSchedulingState, { state: "LIFECYCLE_STATE_UNSPECIFIED" }));
  const recorded = api.audited
    .slice(1)
    .map(({ act, outcome, reason, arguments: fields }) => [act, outcome, reason, fields]);
  assert.deepEqual(recorded, [
    ["call_admitted", "allowed", undefined, { state: "LIFECYCLE_STATE_CORDONED", reason: "disk swap" }],
    ["call_ended", "done", undefined, undefined],
    ["call_admitted", "allowed", undefined, { state: "LIFECYCLE_STATE_UNSPECIFIED" }],
    ["call_ended", "failed", "REQUEST_INVALID", undefined],
  ]);
});

test("a console session audits its opening and its end, and none of its input", async (t) => {
  const api = await startApi(t);
  api.table.put(vm("vm-1", { tenant: "red" }));
  const console = new FakeConsole();
  api.vms.openConsole = () => Promise.resolve(console);
  const client = new ApiClient(t, `unix:${api.socket}`);
  const call = client.bidi(protos.vms.Console);
  call.on("error", () => undefined);
  call.resume();
  call.write({ vm: "vm-1", force: true, input: Buffer.from(secret) });
  await eventually(() => console.typed.length > 0);
  assert.deepEqual(
    api.audited.map(({ act, vm: id, tenant, arguments: fields }) => [act, id, tenant, fields]),
    [["call_admitted", "vm-1", "red", { force: true }]],
  );
  console.end();
  await eventually(() => api.audited.length === 2);
  assert.deepEqual([api.audited[1]?.act, api.audited[1]?.outcome], ["call_ended", "done"]);
  assert.ok(!JSON.stringify(api.audited).includes(secret));
});

test("every method with changes has audited fields, and no secret is among them", async (t) => {
  const api = await startApi(t);
  api.table.put(vm("vm-1"));
  const client = new ApiClient(t, `unix:${api.socket}`);
  const placed = { pool: secret, volume: secret };
  const spec = {
    name: "web",
    vcpus: 1,
    memoryBytes: 2 ** 28,
    labels: { [secret]: secret },
    kernelBoot: { kernel: placed, initrd: placed, cmdline: secret },
    disks: [{ name: secret, volume: placed }],
  };
  const outcomes = await Promise.allSettled([
    client.call(protos.vms.CreateVm, { requestId: "1", spec }),
    client.call(protos.vms.DeleteVm, { requestId: "2", vm: "vm-1", etag: secret }),
    client.call(protos.trust.EnrollHost, { address: "a:1", token: secret }),
    client.call(protos.trust.EnrollHost, { address: "nonsense", token: secret }),
  ]);
  assert.equal(outcomes.length, 4);
  assert.equal(api.audited.length, 8);
  assert.ok(!JSON.stringify(api.audited).includes(secret), JSON.stringify(api.audited));
  assert.equal(
    api.audited.find(({ method }) => method?.endsWith("CreateVm"))?.arguments?.["spec.name"],
    "web",
  );
  // Reading the audit log is restricted too, and recording it there would never end.
  for (const [path, { roles, audit }] of Object.entries(methods))
    assert.equal(audit !== undefined, !roles.includes("viewer") && !path.includes("/ListAudit"), path);
});
