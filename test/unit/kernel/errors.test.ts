import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError, toSocleError } from "../../../agent/kernel/errors.ts";

test("a SocleError stays as it is, an abort becomes cancelled, any other value internal", () => {
  const own = new SocleError("not_found", "VM_NOT_FOUND", "there is no such VM");
  assert.equal(toSocleError(own), own);
  assert.equal(toSocleError(new DOMException("gone", "AbortError")).kind, "cancelled");
  const other = toSocleError(new RangeError("too far"));
  assert.deepEqual([other.kind, other.reason, other.message], ["internal", "INTERNAL", "too far"]);
  assert.ok(other.cause instanceof RangeError);
  assert.equal(toSocleError("text").message, "text");
});
