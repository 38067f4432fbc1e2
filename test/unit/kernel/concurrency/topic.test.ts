import assert from "node:assert/strict";
import { test } from "node:test";
import type { QueueItem } from "../../../../agent/kernel/concurrency/bounded-queue.ts";
import { Topic } from "../../../../agent/kernel/concurrency/topic.ts";

async function all<T>(items: AsyncIterable<QueueItem<T>>): Promise<(T | "overflow")[]> {
  const seen: (T | "overflow")[] = [];
  for await (const item of items) seen.push(item.kind === "item" ? item.value : item.kind);
  return seen;
}

test("every subscriber gets everything published after its call, and nothing from before", async () => {
  const topic = new Topic<number>();
  const end = new AbortController();
  topic.publish(0);
  const first = topic.subscribe(end.signal);
  topic.publish(1);
  const second = topic.subscribe(end.signal);
  topic.publish(2);
  end.abort();
  topic.publish(3);
  assert.deepEqual(await Promise.all([all(first), all(second)]), [[1, 2], [2]]);
});

test("a slow subscriber gets an overflow and does not delay the others", async () => {
  const topic = new Topic<number>();
  const end = new AbortController();
  const slow = topic.subscribe(end.signal, 2);
  const quick = topic.subscribe(end.signal, 100);
  for (let value = 0; value < 5; value += 1) topic.publish(value);
  end.abort();
  assert.deepEqual(await all(slow), ["overflow", 4]);
  assert.deepEqual(await all(quick), [0, 1, 2, 3, 4]);
});

test("an ended subscriber is removed; one with an aborted signal ends at once", async () => {
  const topic = new Topic<number>();
  const end = new AbortController();
  topic.subscribe(end.signal);
  assert.equal(topic.subscribers, 1);
  end.abort();
  assert.equal(topic.subscribers, 0);
  assert.deepEqual(await all(topic.subscribe(end.signal)), []);
  assert.equal(topic.subscribers, 0);
});

test("a reader that leaves its loop is removed, though its signal lives on", async () => {
  const topic = new Topic<number>();
  const end = new AbortController();
  const items = topic.subscribe(end.signal);
  topic.publish(1);
  for await (const item of items) {
    assert.deepEqual(item, { kind: "item", value: 1 });
    break;
  }
  assert.equal(topic.subscribers, 0);
});
