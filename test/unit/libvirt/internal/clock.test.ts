import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../../agent/libvirt/internal/clock.ts";
import { orderAtDeadline } from "../../../support/kernel/late-loop.ts";

test("a reply that has arrived comes before its deadline, however late the event loop is", async (context) => {
  assert.deepEqual(await orderAtDeadline(context, systemClock), ["answer", "deadline"]);
});
