import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import type { Step } from "../../../../agent/state/operations/operations.ts";
import { Semaphore } from "../../../../agent/kernel/concurrency/semaphore.ts";
import { eraseDisks, inTurn, receiptOf, type ErasedDisk } from "../../../../agent/vm/operations/erasure.ts";
import { deleteVm, type DeleteIntent } from "../../../../agent/vm/operations/delete.ts";
import type { Erasure } from "../../../../agent/vm/operations/erasure.ts";
import type { WorkContext } from "../../../../agent/vm/operations/work.ts";
import { steps } from "../../../support/vm/steps.ts";

const sealed = { disk: "a", volume: { pool: "p", volume: "a.raw" }, encrypted: true };
const plain = { disk: "b", volume: { pool: "p", volume: "b.raw" }, encrypted: false };
const erasure: Erasure = { name: "web", tenant: "red", disks: [sealed, plain], tpm: false, kept: [] };

/** A host with these volumes, and the calls made to it. */
function hostWith(bytes: Readonly<Record<string, number>>, failure?: SocleError) {
  const did: string[] = [];
  const on = (what: string) => async (about: unknown, more?: unknown) => {
    did.push(`${what} ${JSON.stringify(more ?? about)}`);
    return Promise.resolve();
  };
  const overwrite = (what: string) => async (reference: { volume: string }) => {
    did.push(`${what} ${reference.volume}`);
    if (failure !== undefined) throw failure;
    return Promise.resolve(bytes[reference.volume]);
  };
  const socle = { tenant: "red", keys: { "disk/a": "v1.sealed" } };
  const context = {
    domains: { document: () => Promise.resolve({ metadata: { socle } }), setMetadata: on("metadata") },
    keys: { forget: on("forget") },
    volumes: { erasure: { overwrite: overwrite("overwrite"), overwriteHeader: overwrite("header") } },
    attest: (statement: unknown) => ({ text: JSON.stringify(statement), signature: "s" }),
    // What erasing does not touch is not there: it would fail here.
  } as unknown as WorkContext;
  return { context, did };
}

const step = steps();
const isOff = (): Promise<void> => Promise.resolve();
const runAfter = (...done: string[]) => ({
  operationId: "op-1",
  caller: "caller",
  instance: undefined,
  createdAtMs: 0,
  vmId: "vm-1",
  step,
  signal: new AbortController().signal,
  hasEnded: () => false,
  resumed: done.length > 0,
  done: new Set(done),
});

test("a receipt names a saved state, whose file is removed and not overwritten", () => {
  const { context } = hostWith({});
  const said = (savedState: object): unknown =>
    JSON.parse(receiptOf(context, { ...erasure, ...savedState }, [], runAfter())["receipt"] ?? "");
  assert.equal((said({ savedState: true }) as Record<string, unknown>)["saved_state"], "removed");
  assert.ok(!Object.hasOwn(said({}) as object, "saved_state"));
});

test("keys are destroyed before anything is overwritten, each disk by its best method", async () => {
  const { context, did } = hostWith({ "a.raw": 16, "b.raw": 100 });
  const erased = await eraseDisks(context, erasure, runAfter(), { isGone: false, requireOff: isOff });
  assert.deepEqual(did, ['metadata {"tenant":"red"}', 'forget "disk/a"', "header a.raw", "overwrite b.raw"]);
  assert.deepEqual(erased, [
    { disk: "a", pool: "p", volume: "a.raw", method: "crypto-erase", bytes: 16 },
    { disk: "b", pool: "p", volume: "b.raw", method: "overwrite", bytes: 100 },
  ] satisfies ErasedDisk[]);
});

test("an erasure is repeated after a crash, and reports the disks that an earlier run has erased", async () => {
  const { context, did } = hostWith({ "b.raw": 100 });
  const erased = await eraseDisks(context, erasure, runAfter("destroy keys", "erase a.raw"), {
    isGone: false,
    requireOff: isOff,
  });
  assert.ok(did.includes("overwrite b.raw"));
  assert.deepEqual(erased[0], { disk: "a", pool: "p", volume: "a.raw", method: "crypto-erase" });
});

test("a disk that was missing before is not reported as erased", async () => {
  const { context } = hostWith({ "a.raw": 16 });
  const [, gone] = await eraseDisks(context, erasure, runAfter(), { isGone: false, requireOff: isOff });
  assert.equal(gone?.method, "absent");
});

test("a disk is overwritten only while the VM is off, and a cancelled erasure names the losses", async () => {
  const { context, did } = hostWith({ "a.raw": 16, "b.raw": 100 });
  const running = new SocleError("conflict", "VM_RUNNING", "it is running");
  let looks = 0;
  const offOnce = (): Promise<void> => ((looks += 1) > 1 ? Promise.reject(running) : Promise.resolve());
  await assert.rejects(
    eraseDisks(context, erasure, runAfter(), { isGone: false, requireOff: offOnce }),
    running,
  );
  assert.ok(did.includes("header a.raw") && !did.includes("overwrite b.raw"));
  const cancelled = { ...runAfter(), signal: AbortSignal.abort() };
  const failing = hostWith({}, new SocleError("cancelled", "CANCELLED", "cancelled"));
  await assert.rejects(
    eraseDisks(failing.context, erasure, cancelled, { isGone: false, requireOff: isOff }),
    {
      kind: "conflict",
      reason: "ERASURE_CANCELLED",
    },
  );
});

test("without space to overwrite a thin disk no disk is reported as erased", async () => {
  const full = new SocleError("exhausted", "POOL_FULL", "storage pool p is full");
  const { context } = hostWith({}, full);
  await assert.rejects(eraseDisks(context, erasure, runAfter(), { isGone: false, requireOff: isOff }), full);
});

test("the receipt begins with its kind, and its digest and signature cover its exact bytes", () => {
  const { context } = hostWith({});
  const result = receiptOf(context, erasure, [], runAfter());
  assert.match(
    result["receipt"] ?? "",
    /^\{"receipt":"socle erasure 1","vm":"vm-1","name":"web","tenant":"red"/,
  );
  assert.equal(result["receipt_signature"], "s");
  assert.match(result["receipt_sha256"] ?? "", /^[\da-f]{64}$/);
});

test("disks are overwritten one at a time, and a waiting erasure reports it; keys are destroyed without waiting", async () => {
  const semaphore = new Semaphore(1, 8);
  const signal = new AbortController().signal;
  const begun: string[] = [];
  const stepsOf = (owner: string): Step => steps((name) => begun.push(`${owner}: ${name}`));
  let end: (failure: Error) => void = () => undefined;
  const long = new Promise<never>((_, reject) => (end = reject));
  const first = inTurn(semaphore, "x", stepsOf("first"), signal, () => long);
  const second = inTurn(semaphore, "y", stepsOf("second"), signal, () => Promise.resolve("erased"));
  const gone = new AbortController();
  const third = inTurn(semaphore, "z", stepsOf("third"), gone.signal, () => Promise.resolve("erased"));
  gone.abort(new Error("cancelled"));
  await assert.rejects(third, /cancelled/);
  assert.deepEqual([semaphore.taken, semaphore.waiting], [1, 1]);
  assert.deepEqual(begun.slice(0, 2), ["first: wait for other erasures", "second: wait for other erasures"]);
  end(new Error("the disk is gone"));
  await assert.rejects(first, /the disk is gone/);
  assert.equal(await second, "erased");
  assert.deepEqual([semaphore.taken, semaphore.waiting], [0, 0]);

  const laneOf = (intent: DeleteIntent) => {
    const { lane } = deleteVm;
    return typeof lane === "function" ? lane(intent) : lane;
  };
  const deletion: DeleteIntent = { volumes: [], force: false };
  assert.equal(laneOf({ ...deletion, erase: erasure }), "erasure");
  assert.equal(laneOf({ ...deletion, erase: { ...erasure, disks: [sealed] } }), "heavy");
  assert.equal(laneOf(deletion), "heavy");
});
