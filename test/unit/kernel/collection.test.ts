import assert from "node:assert/strict";
import { test } from "node:test";
import { toCollect, type Collectable } from "../../../agent/kernel/collection.ts";

const GIB = 2 ** 30;
const HOUR_MS = 3_600_000;
const NOW = 1000 * HOUR_MS;
const image = (id: string, unusedHours: number, more: Partial<Collectable> = {}): Collectable => ({
  id,
  pool: "a",
  sizeBytes: GIB,
  users: 0,
  usedAtMs: NOW - unusedHours * HOUR_MS,
  ...more,
});
const pool = (name: string, usedGiB: number) => ({ name, capacityBytes: 10 * GIB, usedBytes: usedGiB * GIB });
const above = { percent: 80, unusedMs: 24 * HOUR_MS };

test("of a full pool unused items are collected, the least recently used first, until it is not full", () => {
  const images = [
    image("newest", 25),
    image("oldest", 900),
    image("used", 950, { users: 1 }),
    image("elsewhere", 999, { pool: "b" }),
    image("second", 300),
    image("third", 200),
  ];
  const collect = (usedGiB: number, rule: Parameters<typeof toCollect>[2]) =>
    toCollect(images, [pool("a", usedGiB)], rule, NOW).map(({ item: { id }, why }) => `${id} ${why}`);
  assert.deepEqual(collect(8, { above }), []);
  assert.deepEqual(collect(8.5, { above }), ["oldest pressure"]);
  assert.deepEqual(collect(9.5, { above }), ["oldest pressure", "second pressure"]);
  assert.deepEqual(collect(10, { above: { ...above, unusedMs: 250 * HOUR_MS } }), [
    "oldest pressure",
    "second pressure",
  ]);
  // What goes for its age makes room too.
  const olderThanMs = 500 * HOUR_MS;
  assert.deepEqual(collect(8.5, { above, olderThanMs }), ["elsewhere age", "oldest age"]);
  assert.deepEqual(collect(9.5, { above, olderThanMs }), ["elsewhere age", "oldest age", "second pressure"]);
});

test("of a pool whose use is not known nothing is collected for it", () => {
  assert.deepEqual(toCollect([image("old", 900)], [], { above }, NOW), []);
  assert.deepEqual(toCollect([image("old", 900)], [pool("b", 10)], { above }, NOW), []);
});
