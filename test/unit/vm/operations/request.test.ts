import assert from "node:assert/strict";
import { test } from "node:test";
import type { SocleError } from "../../../../agent/kernel/errors.ts";
import { requireNameable } from "../../../../agent/vm/operations/request.ts";

test("a text too long for a VM's name is no VM, and the refusal does not repeat it", () => {
  requireNameable("x".repeat(255));
  assert.throws(
    () => requireNameable("x".repeat(100_000)),
    ({ kind, reason, message }: SocleError) =>
      kind === "not_found" && reason === "VM_NOT_FOUND" && message.length < 200,
  );
});
