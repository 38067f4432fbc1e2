import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { KeyedLock } from "../../../../agent/kernel/concurrency/keyed-lock.ts";

/** Work that the test ends. */
function gate(): { work: () => Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { work: () => opened, open };
}

/** Whether work of the key begins at once. */
async function isFree(lock: KeyedLock, key: string): Promise<boolean> {
  const giveUp = new AbortController();
  let hasBegun = false;
  const work = (): Promise<void> => {
    hasBegun = true;
    return Promise.resolve();
  };
  const tried = lock.run(key, work, giveUp.signal).catch(() => undefined);
  await new Promise(setImmediate);
  giveUp.abort();
  await tried;
  return hasBegun;
}

test("one work runs per key, in the order of arrival; other keys do not wait", async () => {
  const lock = new KeyedLock(10);
  const order: string[] = [];
  const first = gate();
  const running = [
    lock.run("a", async () => {
      order.push("a1");
      await first.work();
      order.push("a1 done");
    }),
    lock.run("a", () => Promise.resolve(order.push("a2"))),
    lock.run("a", () => Promise.resolve(order.push("a3"))),
    lock.run("b", () => Promise.resolve(order.push("b"))),
  ];
  await running[3];
  assert.deepEqual(order, ["a1", "b"]);
  first.open();
  await Promise.all(running);
  assert.deepEqual(order, ["a1", "b", "a1 done", "a2", "a3"]);
  assert.equal(lock.size, 0);
});

test("failed work releases the lock, and only its caller gets the error", async () => {
  const lock = new KeyedLock(10);
  const failing = lock.run("a", () => Promise.reject(new Error("no")));
  const next = lock.run("a", () => Promise.resolve(7));
  await assert.rejects(failing, /no/);
  assert.equal(await next, 7);
  assert.equal(lock.size, 0);
});

test("work cancelled while it waits never runs, and those behind it keep their turn", async () => {
  const lock = new KeyedLock(10);
  const first = gate();
  const giveUp = new AbortController();
  let ran = false;
  const holder = lock.run("a", first.work);
  const gaveUp = lock.run("a", () => Promise.resolve((ran = true)), giveUp.signal);
  const behind = lock.run("a", () => Promise.resolve("behind"));
  giveUp.abort(new Error("enough"));
  await assert.rejects(gaveUp, /enough/);
  first.open();
  await holder;
  assert.equal(await behind, "behind");
  assert.equal(ran, false);
  await assert.rejects(
    lock.run("a", () => Promise.resolve(), giveUp.signal),
    /enough/,
  );
  assert.equal(lock.size, 0);
});

test("an abort after the work has begun is up to the work", async () => {
  const lock = new KeyedLock(10);
  const first = gate();
  const abort = new AbortController();
  const holder = lock.run("a", () => Promise.resolve());
  const running = lock.run("a", first.work, abort.signal);
  await holder;
  await new Promise(setImmediate);
  abort.abort();
  assert.equal(await isFree(lock, "a"), false);
  first.open();
  await running;
});

test("waiters beyond the limit are refused", async () => {
  const lock = new KeyedLock(1);
  const first = gate();
  const holder = lock.run("a", first.work);
  const waiting = lock.run("a", () => Promise.resolve());
  await assert.rejects(
    lock.run("a", () => Promise.resolve()),
    (error) =>
      error instanceof SocleError &&
      error.kind === "exhausted" &&
      error.reason === "QUEUE_FULL" &&
      error.details.retryAfterMs !== undefined,
  );
  first.open();
  await Promise.all([holder, waiting]);
});

test("priority waiters come before all others, in the order of arrival", async () => {
  const lock = new KeyedLock(10);
  const first = gate();
  const order: string[] = [];
  const wait = (name: string, ahead: boolean): Promise<void> =>
    lock.run(
      "a",
      () => {
        order.push(name);
        return Promise.resolve();
      },
      undefined,
      { ahead },
    );
  const holder = lock.run("a", first.work);
  const all = [wait("1", false), wait("2", false), wait("x", true), wait("y", true), wait("3", false)];
  first.open();
  await Promise.all([holder, ...all]);
  assert.deepEqual(order, ["x", "y", "1", "2", "3"]);
});

test("a waiter that gives up as the lock is passed on leaves the next holder's lock in place", async () => {
  const lock = new KeyedLock(10);
  const giveUp = new AbortController();
  const first = gate();
  const holder = lock.run("a", first.work);
  const gaveUp = lock.run("a", () => Promise.resolve(), giveUp.signal);
  first.open();
  giveUp.abort(new Error("enough"));
  await Promise.allSettled([holder, gaveUp]);
  const next = gate();
  const running = lock.run("a", next.work);
  assert.equal(await isFree(lock, "a"), false);
  next.open();
  await running;
  assert.equal(await isFree(lock, "a"), true);
});
