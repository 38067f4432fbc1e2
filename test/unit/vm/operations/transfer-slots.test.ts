// Who gets a place for a transfer while others hold theirs for long.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { TransferSlots } from "../../../../agent/vm/operations/transfer-slots.ts";

const tenants = (tenant: string, name = "s"): string =>
  `spiffe://cloud.example/scheduler/${name}/tenant/${tenant}`;
const PROVIDER = "spiffe://cloud.example/scheduler/main";

/** Transfers that last until they are ended, by name. */
function stage() {
  const slots = new TransferSlots("image transfers", TransferSlots.locks());
  const running = new Map<string, () => void>();
  const begin = async (caller: string, name: string): Promise<void> => {
    const work = (): Promise<void> => new Promise((resolve) => running.set(name, resolve));
    void slots.run(caller, work).then(() => running.delete(name));
    await nextTurn();
  };
  const end = async (name: string): Promise<void> => {
    running.get(name)?.();
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
  };
  return { begin, end, names: () => [...running.keys()] };
}

test("slow transfers of many tenants leave a place for the provider's", async () => {
  const { begin, end, names } = stage();
  for (const tenant of ["a", "b", "c", "d", "e"]) await begin(tenants(tenant), tenant);
  assert.deepEqual(names(), ["a", "b", "c"]);
  await begin(PROVIDER, "provider");
  assert.deepEqual(names(), ["a", "b", "c", "provider"]);
  await end("a");
  assert.deepEqual(names(), ["b", "c", "provider", "d"]);
});

test("one tenant has less than half of the places, with however many callers", async () => {
  const { begin, end, names } = stage();
  for (const name of ["x", "y", "z"]) await begin(tenants("a", name), name);
  assert.deepEqual(names(), ["x"]);
  await end("x");
  assert.deepEqual(names(), ["y"]);
});

test("the provider's transfers are before those of tenants that wait", async () => {
  const { begin, end, names } = stage();
  for (const name of ["1", "2", "3", "4"]) await begin(PROVIDER, name);
  await begin(tenants("a"), "a");
  await begin(PROVIDER, "5");
  assert.deepEqual(names(), ["1", "2", "3", "4"]);
  await end("1");
  assert.deepEqual(names(), ["2", "3", "4", "5"]);
  await end("2");
  assert.deepEqual(names(), ["3", "4", "5", "a"]);
});

test("a transfer that is cancelled while it waits gives its places back", async () => {
  const slots = new TransferSlots("image transfers", TransferSlots.locks());
  const over = new AbortController();
  const never = (): Promise<never> => new Promise(() => undefined);
  for (const tenant of ["a", "b", "c"]) void slots.run(tenants(tenant), never);
  const waiting = slots.run(tenants("d"), never, over.signal);
  over.abort(new Error("cancelled"));
  await assert.rejects(waiting, { message: "cancelled" });
  assert.equal(await slots.run(PROVIDER, () => Promise.resolve("done")), "done");
});
