import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import test, { type TestContext } from "node:test";
import { PageStage, vmOf } from "../../support/page-stage.ts";

interface State {
  readonly events: readonly { readonly kind: string; readonly vm: string; readonly details: object }[];
  readonly backups: readonly object[];
  readonly operations: readonly { readonly vm: string; readonly transfer?: object }[];
}

/** The first message to a browser. */
async function stateOf(context: TestContext, stage: PageStage): Promise<State> {
  const requested = get(new URL("/page/stream", stage.url), { agent: false });
  context.after(() => requested.destroy());
  const [response] = (await once(requested, "response")) as [IncomingMessage];
  let received = "";
  for await (const chunk of response.setEncoding("utf8")) {
    received += String(chunk);
    const found = /^event: state\ndata: (.*)\n\n/m.exec(received)?.[1];
    if (found !== undefined) return JSON.parse(found) as State;
  }
  throw new Error("the stream ended");
}

test("conditions found healthy at the start of the agent do not hide earlier activity", async (context) => {
  const stage = await PageStage.start();
  context.after(() => stage.stop());
  stage.publish({ kind: "vm_io_error", vmName: "web" });
  for (let count = 0; count < 60; count += 1)
    stage.publish({
      kind: "condition_changed",
      details: { condition: `C${count}`, status: "false", first: "true" },
    });
  stage.publish({
    kind: "condition_changed",
    details: { condition: "Thermal", status: "true", first: "true" },
  });
  stage.publish({ kind: "condition_changed", details: { condition: "Thermal", status: "false" } });
  stage.publish({ kind: "scheduling_changed", reason: "New Fans", details: { state: "cordoned" } });
  const { events } = await stateOf(context, stage);
  assert.deepEqual(
    events.map(({ kind, details }) => [kind, Object.values(details).join()]),
    [
      ["vm_io_error", ""],
      ["condition_changed", "Thermal,true"],
      ["condition_changed", "Thermal,false"],
      ["scheduling_changed", "cordoned"],
    ],
  );
});

test("an operation that copies bytes shows how many, and how fast", async (context) => {
  const stage = await PageStage.start();
  context.after(() => stage.stop());
  const transfer = { doneBytes: 5, totalBytes: 10, bytesPerSecond: 2 };
  stage.operations = [{ ...operationOf(vmOf(1).id), id: "1", transfer }];
  const { operations } = await stateOf(context, stage);
  assert.deepEqual(operations[0]?.transfer, transfer);
});

test("an open backup shows what it keeps and until when, and is gone once it has finished", async (context) => {
  const stage = await PageStage.start();
  context.after(() => stage.stop());
  const { id, name } = vmOf(1);
  const open = {
    id: "b1",
    createdAtMs: 1000,
    leaseMs: 600_000,
    disks: [],
    phase: "open",
    scratchBytes: 0,
  } as const;
  stage.table.put(vmOf(1, { backups: { open, stale: [] }, etag: "1" }));
  stage.table.put(vmOf(2));
  stage.leases.set(id, 601_000);
  assert.deepEqual((await stateOf(context, stage)).backups, [
    { vm: name, openedAtMs: 1000, scratchUsedBytes: 1536, leaseUntilMs: 601_000 },
  ]);
  stage.table.put(vmOf(1, { etag: "2" }));
  assert.deepEqual((await stateOf(context, stage)).backups, []);
});

test("an operation keeps the name of a removed VM", async (context) => {
  const stage = await PageStage.start();
  context.after(() => stage.stop());
  const { id, name } = vmOf(1);
  stage.publish({ kind: "vm_removed", vmId: id, vmName: name });
  stage.operations = [
    { ...operationOf(id), id: "1" },
    { ...operationOf("never-seen"), id: "2" },
  ];
  const { operations } = await stateOf(context, stage);
  assert.deepEqual(
    operations.map(({ vm }) => vm),
    [name, "never-seen"],
  );
});

const operationOf = (vmId: string): PageStage["operations"][number] => ({
  id: "",
  requestId: "r",
  kind: "DELETE_VM",
  intent: undefined,
  vmId,
  caller: "unix:0",
  state: "succeeded",
  progress: 1,
  steps: [],
  createdAtMs: 1000,
  endedAtMs: 2000,
  result: {},
});

test("names in the code are shown as words", async () => {
  // The browser's files are checked by a project of their own.
  const { href } = new URL("../../../agent/page/browser/format.js", import.meta.url);
  const { words } = (await import(href)) as { words: (name: string) => string };
  assert.deepEqual(["GuestFailedOnKvm", "ProbeFailed", "IO_ERROR", "vm_io_error"].map(words), [
    "guest failed on kvm",
    "probe failed",
    "io error",
    "vm io error",
  ]);
});
