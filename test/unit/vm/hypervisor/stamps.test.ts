import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { requireNewest } from "../../../../agent/vm/hypervisor/stamps.ts";

const OLDER = "0193a0c0-0000-7000-8000-000000000001";
const NEWER = "0193a0c0-0000-7001-8000-000000000001";
const newer = { operation: NEWER, phase: "complete" } as const;
const none = (): boolean => false;

test("a newer stamp that the journal does not know or has no end for supersedes an interrupted operation", () => {
  for (const standing of [{ config: newer }, { live: newer }])
    assert.throws(
      () => requireNewest({ operationId: OLDER, hasEnded: none }, standing),
      (error: unknown) => {
        assert.ok(error instanceof SocleError && error.reason === "OPERATION_SUPERSEDED");
        assert.equal(error.details.metadata?.["operation_id"], NEWER);
        assert.match(error.message, /Whether it had an effect is not known/);
        return true;
      },
    );
});

test("an operation with a higher id that ended before the interruption supersedes nothing", () => {
  const hasEnded = (id: string): boolean => id === NEWER;
  requireNewest({ operationId: OLDER, hasEnded }, { config: newer, live: newer });
  requireNewest({ operationId: NEWER, hasEnded: none }, { config: { operation: OLDER, phase: "complete" } });
});
