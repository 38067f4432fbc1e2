import assert from "node:assert/strict";
import { test } from "node:test";
import type { SocleError } from "../../../../agent/kernel/errors.ts";
import { requireNameable } from "../../../../agent/vm/operations/request.ts";

test("a name that is too long finds no VM, and the error does not repeat it", () => {
  requireNameable("x".repeat(255));
  assert.throws(
    () => requireNameable("x".repeat(100_000)),
    ({ kind, reason, message }: SocleError) =>
      kind === "not_found" && reason === "VM_NOT_FOUND" && message.length < 200,
  );
});
