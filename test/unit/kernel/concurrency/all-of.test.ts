import assert from "node:assert/strict";
import { test } from "node:test";
import { allOf } from "../../../../agent/kernel/concurrency/all-of.ts";

test("named promises resolve together under their names", async () => {
  const { first, second } = await allOf({ first: Promise.resolve(1), second: Promise.resolve("two") });
  assert.deepEqual([first, second], [1, "two"]);
});

test("the first failure rejects the whole, and a later one is not left unhandled", async () => {
  const work = { first: Promise.reject(new Error("one")), second: Promise.reject(new Error("two")) };
  await assert.rejects(allOf(work), /one/);
});
