import assert from "node:assert/strict";
import { test } from "node:test";
import { shallowEqual } from "../../../agent/kernel/shallow-equal.ts";

test("objects are equal if they have the same members with identical values", () => {
  const list = [1];
  assert.equal(shallowEqual({ a: 1, list }, { a: 1, list }), true);
  assert.equal(shallowEqual({ a: NaN }, { a: NaN }), true);
  assert.equal(shallowEqual({ a: 1, list }, { a: 1, list: [1] }), false);
  assert.equal(shallowEqual<{ a: number; b?: number }>({ a: 1 }, { a: 1, b: 2 }), false);
  assert.equal(
    shallowEqual<{ a?: number | undefined; b?: number | undefined }>({ a: undefined }, { b: undefined }),
    false,
  );
});
