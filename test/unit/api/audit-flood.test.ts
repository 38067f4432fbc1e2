// What one caller can add to the audit log and to the agent's log by calls that change nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { status } from "@grpc/grpc-js";
import { AuditBudget } from "../../../agent/api/limits/audit-budget.ts";
import { SocleError } from "../../../agent/kernel/errors.ts";
import { configSchema } from "../../../agent/config/schema.ts";
import { Guest } from "../../../agent/vm/operations/guest.ts";
import { ApiClient, errorOf, FakeConsole, protos, startApi, vm } from "../../support/api/harness.ts";

const { StartVm, StopVm, CreateVm, GetVm } = protos.vms;
const limits = (more: object) =>
  configSchema.parse({ api: { limits: { mutationsPerSecond: 1e6, controlsPerSecond: 1e6, ...more } } }).api;

test("the largest accepted field is cut in the audit log and in the agent's log", async (t) => {
  const api = await startApi(t);
  api.vms.begin = () => Promise.reject(new SocleError("not_found", "VM_NOT_FOUND", "there is no such VM"));
  const client = new ApiClient(t, `unix:${api.socket}`);
  const text = "x".repeat(250_000);
  await errorOf(client.call(StartVm, { requestId: "r", vm: text }));
  await errorOf(client.call(StartVm, { requestId: text, vm: "v" }));
  await client.call(CreateVm, { requestId: "r", spec: { name: text, tenant: "t" } });
  await errorOf(client.call(GetVm, { vm: text }));
  for (const lines of [api.audited, api.logged])
    for (const line of lines) assert.ok(JSON.stringify(line).length < 4000);
  assert.ok(api.audited.length > 0 && api.logged.length > 0);
});

test("failed changes are audited up to a budget, then refused before admission", async (t) => {
  const config = limits({ failuresPerSecond: 0.1 });
  const api = await startApi(t, { limits: config.limits });
  const { begin } = api.vms;
  api.vms.begin = (kind, request, caller) =>
    kind === "STOP_VM"
      ? begin(kind, request, caller)
      : Promise.reject(new SocleError("not_found", "VM_NOT_FOUND", "there is no such VM"));
  const client = new ApiClient(t, `unix:${api.socket}`);
  const errors = [];
  for (let at = 0; at < 200; at += 1)
    errors.push(await errorOf(client.call(StartVm, { requestId: `r-${at}`, vm: "v" })));
  const admitted = api.audited.filter(({ act }) => act === "call_admitted").length;
  assert.ok(admitted >= 30 && admitted < 60, `${admitted} were admitted`);
  const last = errors.at(-1);
  assert.deepEqual([last?.code, last?.info.reason], [status.RESOURCE_EXHAUSTED, "AUDIT_BUDGET_EXCEEDED"]);
  assert.ok((last?.retryMs ?? 0) > 0);

  // Stops have their own budget.
  assert.equal((await client.call(StopVm, { requestId: "s", vm: "v" })).kind, "STOP_VM");
});

test("successful changes take nothing from the budget; repeated requests do", async (t) => {
  const config = limits({ failuresPerSecond: 0.1 });
  const api = await startApi(t, { limits: config.limits });
  api.table.put(vm("v"));
  const client = new ApiClient(t, `unix:${api.socket}`);
  for (let at = 0; at < 100; at += 1) {
    const { operationId } = await client.call(StopVm, { requestId: `r-${at}`, vm: "v" });
    await api.operations.settle(operationId, { state: "succeeded" });
  }
  let refused = 0;
  for (let at = 0; at < 100; at += 1)
    await client.call(StopVm, { requestId: "r-1", vm: "v" }).catch(() => (refused += 1));
  assert.ok(refused > 40, `${refused} were refused`);
});

test("refusals of one kind log one line a second, with the number of the others", async (t) => {
  const api = await startApi(t);
  api.vms.begin = () => Promise.reject(new SocleError("not_found", "VM_NOT_FOUND", "there is no such VM"));
  const client = new ApiClient(t, `unix:${api.socket}`);
  const startMs = performance.now();
  for (let at = 0; at < 40; at += 1) await errorOf(client.call(StartVm, { requestId: `r-${at}`, vm: "v" }));
  const seconds = Math.ceil((performance.now() - startMs) / 1000);
  const lines = api.logged.filter(({ reason }) => reason === "VM_NOT_FOUND");
  assert.ok(lines.length >= 1 && lines.length <= seconds + 1, `${lines.length} lines in ${seconds} s`);
});

test("a budget refills over time", () => {
  let nowMs = 0;
  const budget = new AuditBudget(1, { monotonicMs: () => nowMs });
  for (let at = 0; at < 300; at += 1) budget.charge("a", 1);
  assert.throws(() => budget.charge("a", 1), { reason: "AUDIT_BUDGET_EXCEEDED", kind: "exhausted" });
  budget.charge("b", 1);
  nowMs = 2000;
  const credit = budget.charge("a", 1);
  credit();
  budget.charge("a", 1);
  budget.charge("a", 1);
  assert.throws(() => budget.charge("a", 1), { reason: "AUDIT_BUDGET_EXCEEDED" });
});

test("repeated console sessions are audited up to the budget", async (t) => {
  const api = await startApi(t, { limits: limits({ failuresPerSecond: 0.1, streamsPerSecond: 1e6 }).limits });
  api.table.put(vm("v"));
  api.vms.openConsole = () => Promise.resolve(new FakeConsole());
  const client = new ApiClient(t, `unix:${api.socket}`);
  const ends: status[] = [];
  for (let at = 0; at < 60; at += 1) {
    const call = client.bidi(protos.vms.Console);
    call.on("error", () => undefined).resume();
    call.write({ vm: "v" });
    call.end();
    ends.push(await new Promise<status>((resolve) => call.once("status", ({ code }) => resolve(code))));
  }
  const opened = ends.filter((code) => code === status.OK).length;
  assert.ok(opened >= 30 && opened < 45, `${opened} were opened`);
  assert.equal(ends.at(-1), status.RESOURCE_EXHAUSTED);
});

test("repeated changes inside a guest are audited up to the budget, and the secrets in them are not", async (t) => {
  const config = limits({ failuresPerSecond: 0.1 });
  const api = await startApi(t, { limits: config.limits });
  api.table.put(vm("v"));
  const exec = () =>
    Promise.resolve({
      exitCode: 0,
      output: Buffer.alloc(0),
      errorOutput: Buffer.alloc(0),
      isTruncated: false,
    });
  api.vms.guest = () => Object.assign(Object.create(Guest.prototype) as Guest, { exec });
  const client = new ApiClient(t, `unix:${api.socket}`);
  const request = { vm: "v", path: "/bin/login", arguments: ["hunter2"], environment: ["PASSWORD=hunter2"] };
  let refused = 0;
  for (let at = 0; at < 100; at += 1)
    await client.call(protos.guests.ExecInGuest, request).catch(() => (refused += 1));
  assert.ok(refused > 40, `${refused} were refused`);
  for (const lines of [api.audited, api.logged]) assert.ok(!JSON.stringify(lines).includes("hunter2"));
  assert.deepEqual(api.audited.find(({ act }) => act === "call_admitted")?.arguments, { path: "/bin/login" });
});
