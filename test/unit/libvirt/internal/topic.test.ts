import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Topic } from "../../../../agent/libvirt/internal/topic.ts";
import { eventually } from "../../../support/wait.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

interface Item {
  readonly name: string;
}

/** Publishes an item and returns whether it was collected since. */
function published(topic: Topic<Item>, name: string): () => boolean {
  const item = { name };
  topic.publish(item);
  const weak = new WeakRef(item);
  return () => {
    collectGarbage();
    return weak.deref() === undefined;
  };
}

test("a subscription that is dropped before its first read keeps no items, although its signal lives", async () => {
  const topic = new Topic<Item>();
  const { signal } = new AbortController();
  const owner = { items: [topic.subscribe(signal)] };
  const isCollected = published(topic, "first");
  await nextTurn();
  assert.equal(isCollected(), false, "its owner may still read it");
  assert.deepEqual(getEventListeners(signal, "abort"), []);
  owner.items = [];
  await eventually(isCollected, { what: "the queue to be collected" });
  const isNextCollected = published(topic, "second");
  await eventually(isNextCollected, { what: "an item that no subscription has" });
});

test("a subscription is kept while its reader waits, with no other reference to it", async () => {
  const topic = new Topic<Item>();
  const names: string[] = [];
  const read = async (): Promise<void> => {
    for await (const item of topic.subscribe(new AbortController().signal))
      if (item.kind === "item") names.push(item.value.name);
    names.push("end");
  };
  void read();
  await nextTurn();
  collectGarbage();
  await nextTurn();
  collectGarbage();
  topic.publish({ name: "first" });
  await eventually(() => names.length === 1);
  topic.end();
  await eventually(() => names.length === 2);
  assert.deepEqual(names, ["first", "end"]);
});

test("a subscription has the items from its start up to the abort of its signal, whenever they are read", async () => {
  const topic = new Topic<Item>();
  const stop = new AbortController();
  topic.publish({ name: "before" });
  const items = topic.subscribe(stop.signal, 2);
  for (const name of ["lost", "too", "kept"]) topic.publish({ name });
  stop.abort();
  topic.publish({ name: "after" });
  const read: unknown[] = [];
  for await (const item of items) read.push(item);
  assert.deepEqual(read, [
    { kind: "overflow", dropped: 2 },
    { kind: "item", value: { name: "kept" } },
  ]);
});

test("a reader that leaves its loop removes its listener from the signal", async () => {
  const topic = new Topic<Item>();
  const { signal } = new AbortController();
  const items = topic.subscribe(signal);
  topic.publish({ name: "first" });
  for await (const item of items) {
    assert.equal(item.kind, "item");
    assert.equal(getEventListeners(signal, "abort").length, 1);
    break;
  }
  assert.deepEqual(getEventListeners(signal, "abort"), []);
});
