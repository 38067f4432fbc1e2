import assert from "node:assert/strict";
import { test } from "node:test";
import { exitCodeOf, exitCodes } from "../../../../agent/cli/errors.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { chooseAccelerator } from "../../../../agent/vm/model/accelerator.ts";

test("a guest gets KVM where there is one, and is emulated where there is none", () => {
  assert.equal(chooseAccelerator("auto", { kind: "usable" }), "kvm");
  assert.equal(chooseAccelerator("auto", { kind: "absent" }), "tcg");
  assert.equal(chooseAccelerator("tcg", { kind: "broken", evidence: "paused" }), "tcg");
});

test("where KVM fails it is refused, not worth trying again here: everything answers", () => {
  assert.throws(
    () => chooseAccelerator("auto", { kind: "broken", evidence: "paused" }),
    (error) =>
      error instanceof SocleError &&
      error.reason === "KVM_UNAVAILABLE" &&
      exitCodeOf(error) === exitCodes.refused,
  );
});
