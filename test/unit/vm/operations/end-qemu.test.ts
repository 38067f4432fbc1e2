import assert from "node:assert/strict";
import { test } from "node:test";
import { endQemu } from "../../../../agent/vm/operations/end-qemu.ts";
import { WorkStage } from "../../../support/vm/work-stage.ts";

test("the QEMU of an operation ends, and never a guest, also one that an event has paused", async () => {
  const ended = async (state: WorkStage["state"], stateReason: string): Promise<boolean> => {
    const on = Object.assign(new WorkStage(), { state, stateReason });
    await endQemu(on.context, WorkStage.id);
    return on.did.includes("destroy");
  };
  for (const reason of ["STARTING_UP", "USER", "UNKNOWN"]) assert.equal(await ended("paused", reason), true);
  for (const reason of ["IOERROR", "WATCHDOG", "CRASHED"]) assert.equal(await ended("paused", reason), false);
  for (const state of ["running", "stopped"] as const) assert.equal(await ended(state, ""), false);
});
