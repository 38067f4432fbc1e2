import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { Semaphore } from "../../../../agent/kernel/concurrency/semaphore.ts";

/** Work that the test ends piece by piece, and its owners in the order of their begin. */
function stage(semaphore: Semaphore) {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const add = (owner: string, name: string, signal?: AbortSignal): Promise<void> =>
    semaphore.run(
      owner,
      () => {
        begun.push(name);
        return new Promise<void>((resolve) => ends.push(resolve));
      },
      signal,
    );
  const endOne = async (): Promise<void> => {
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { begun, add, endOne };
}

test("owners take turns: an owner of many works waits behind itself", async () => {
  const semaphore = new Semaphore(2, 100);
  const { begun, add, endOne } = stage(semaphore);
  const all = ["a1", "a2", "a3", "a4", "a5"].map((name) => add("a", name));
  all.push(add("b", "b1"), add("b", "b2"));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(begun, ["a1", "a2"]);
  assert.deepEqual([semaphore.taken, semaphore.waiting], [2, 5]);
  for (let turn = 0; turn < 7; turn += 1) await endOne();
  await Promise.all(all);
  assert.deepEqual(begun, ["a1", "a2", "a3", "b1", "a4", "b2", "a5"]);
  assert.deepEqual([semaphore.taken, semaphore.waiting], [0, 0]);
});

test("an owner that stops waiting takes no place, and waiters beyond the limit are refused", async () => {
  const semaphore = new Semaphore(1, 1);
  const { begun, add, endOne } = stage(semaphore);
  const first = add("a", "first");
  const over = new AbortController();
  const second = add("a", "second", over.signal);
  await assert.rejects(
    add("b", "third"),
    (thrown) =>
      thrown instanceof SocleError && thrown.kind === "exhausted" && thrown.details.retryAfterMs === 1000,
  );
  over.abort();
  await assert.rejects(second);
  const fourth = add("b", "fourth");
  await endOne();
  await endOne();
  await Promise.all([first, fourth]);
  assert.deepEqual(begun, ["first", "fourth"]);
});

test("failed work releases its place", async () => {
  const semaphore = new Semaphore(1, 1);
  const failing = semaphore.run("a", () => Promise.reject(new Error("no")));
  const next = semaphore.run("a", () => Promise.resolve(7));
  await assert.rejects(failing, /no/);
  assert.equal(await next, 7);
});

test("one client holds at most half of the permits that are taken without waiting", () => {
  const semaphore = new Semaphore(4);
  const releases = [semaphore.tryAcquire("a"), semaphore.tryAcquire("a")];
  assert.equal(semaphore.tryAcquire("a"), undefined);
  releases.push(semaphore.tryAcquire("b"), semaphore.tryAcquire("c"));
  assert.equal(semaphore.tryAcquire("d"), undefined);
  for (const release of releases) release?.();
  assert.equal(semaphore.taken, 0);
  assert.notEqual(semaphore.tryAcquire("a"), undefined);
});
