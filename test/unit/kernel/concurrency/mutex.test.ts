import assert from "node:assert/strict";
import { test } from "node:test";
import { Mutex } from "../../../../agent/kernel/concurrency/mutex.ts";

test("calls run one at a time in their order, also after one that fails", async () => {
  const mutex = new Mutex();
  const seen: string[] = [];
  const slow = async (name: string): Promise<void> => {
    seen.push(`${name} begins`);
    await new Promise(setImmediate);
    seen.push(`${name} ends`);
    if (name === "b") throw new Error("b failed");
  };
  const ends = await Promise.allSettled(["a", "b", "c"].map((name) => mutex.run(() => slow(name))));
  assert.deepEqual(
    seen,
    ["a", "b", "c"].flatMap((name) => [`${name} begins`, `${name} ends`]),
  );
  assert.deepEqual(
    ends.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
});

test("a mutex with a bound on waiting calls refuses one more", async () => {
  const mutex = new Mutex(1);
  let end = (): void => undefined;
  const first = mutex.run(() => new Promise<void>((resolve) => (end = resolve)));
  const second = mutex.run(() => Promise.resolve(2));
  await assert.rejects(
    mutex.run(() => Promise.resolve(3)),
    { reason: "QUEUE_FULL" },
  );
  end();
  await first;
  assert.equal(await second, 2);
});
