import assert from "node:assert/strict";
import { test } from "node:test";
import { isUncertain, SocleError, toSocleError } from "../../../agent/kernel/errors.ts";
import { LibvirtError } from "../../../agent/libvirt/index.ts";

test("a SocleError stays as it is, an abort becomes cancelled, any other value internal", () => {
  const own = new SocleError("not_found", "VM_NOT_FOUND", "there is no such VM");
  assert.equal(toSocleError(own), own);
  assert.equal(toSocleError(new DOMException("gone", "AbortError")).kind, "cancelled");
  const other = toSocleError(new RangeError("too far"));
  assert.deepEqual([other.kind, other.reason, other.message], ["internal", "INTERNAL", "too far"]);
  assert.ok(other.cause instanceof RangeError);
  assert.equal(toSocleError("text").message, "text");
});

test("an error of the libvirt client keeps its kind, reason and details", () => {
  const details = { metadata: { libvirtCode: "42" } };
  const theirs = new LibvirtError("not_found", "LIBVIRT_NO_DOMAIN", "no domain", { details, code: 42 });
  assert.equal(toSocleError(theirs), theirs);
  assert.equal(isUncertain(theirs), false);
  assert.equal(isUncertain(new LibvirtError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", "lost")), true);
});
