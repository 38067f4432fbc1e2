import assert from "node:assert/strict";
import { test } from "node:test";
import { BoundedQueue, type QueueItem } from "../../../../agent/kernel/concurrency/bounded-queue.ts";

async function drained<T>(queue: BoundedQueue<T>): Promise<QueueItem<T>[]> {
  const items: QueueItem<T>[] = [];
  for await (const item of queue) items.push(item);
  return items;
}

const item = <T>(value: T): QueueItem<T> => ({ kind: "item", value });

test("items are delivered in order, from before and after the reader began to wait", async () => {
  const queue = new BoundedQueue<number>(10);
  queue.push(1);
  const reading = drained(queue);
  await new Promise(setImmediate);
  queue.push(2);
  queue.push(3);
  await new Promise(setImmediate);
  queue.push(4);
  queue.close();
  assert.deepEqual(await reading, [1, 2, 3, 4].map(item));
});

test("a full queue drops all items, reports their number, and goes on", async () => {
  const queue = new BoundedQueue<number>(3);
  for (let value = 1; value <= 5; value += 1) queue.push(value);
  assert.equal(queue.size, 2);
  queue.close();
  assert.deepEqual(await drained(queue), [{ kind: "overflow", dropped: 3 }, item(4), item(5)]);
});

test("an overflow while the reader is busy is reported before any newer item", async () => {
  const queue = new BoundedQueue<number>(2);
  const reader = queue[Symbol.asyncIterator]();
  queue.push(1);
  queue.push(2);
  assert.deepEqual((await reader.next()).value, item(1));
  for (const value of [3, 4, 5]) queue.push(value);
  assert.deepEqual((await reader.next()).value, { kind: "overflow", dropped: 2 });
  assert.deepEqual((await reader.next()).value, item(4));
  assert.deepEqual((await reader.next()).value, item(5));
});

test("a reader that falls behind steadily still gets every item in order", async () => {
  const queue = new BoundedQueue<number>(5000);
  const reader = queue[Symbol.asyncIterator]();
  for (let round = 0; round < 4000; round += 1) {
    queue.push(2 * round);
    queue.push(2 * round + 1);
    assert.deepEqual((await reader.next()).value, item(round));
  }
  assert.equal(queue.size, 4000);
});

test("after close the held items are still delivered, and new ones are dropped", async () => {
  const queue = new BoundedQueue<number>(3);
  queue.push(1);
  queue.close();
  queue.push(2);
  assert.deepEqual(await drained(queue), [item(1)]);
});
