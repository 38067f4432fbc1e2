import assert from "node:assert/strict";
import { test } from "node:test";
import { exitCodeOf, exitCodes } from "../../../../agent/cli/errors.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { chooseAccelerator } from "../../../../agent/vm/model/accelerator.ts";

test("a guest uses KVM where it is available, and emulation elsewhere", () => {
  assert.equal(chooseAccelerator("auto", { kind: "usable" }), "kvm");
  assert.equal(chooseAccelerator("auto", { kind: "absent" }), "tcg");
  assert.equal(chooseAccelerator("tcg", { kind: "broken", evidence: "paused" }), "tcg");
});

test("a host where KVM fails refuses the VM without a hint to retry", () => {
  assert.throws(
    () => chooseAccelerator("auto", { kind: "broken", evidence: "paused" }),
    (error) =>
      error instanceof SocleError &&
      error.reason === "KVM_UNAVAILABLE" &&
      exitCodeOf(error) === exitCodes.refused,
  );
});
