import * as z from "zod";
import { stampComplete, stampRun } from "./guest-run.ts";
import { defineOperation } from "./definition.ts";
import { known, requireState, settled } from "./vm-state.ts";
import { interrupted, seen, SEEN_WITHIN_MS } from "./work.ts";

export const resumeVm = defineOperation({
  kind: "RESUME_VM",
  intent: z.object({}),
  lane: "command",
  endState: "running",
  admit: () => ({}),
  async run(context, _intent, run) {
    const { vmId, step, resumed } = run;
    const before = resumed ? await settled(context, vmId) : await known(context, vmId);
    if (before.state !== "running") {
      if (resumed) throw interrupted(`the VM is ${before.state}; resume it again if it should run`);
      requireState(before.state, ["paused"], "resumed");
      await stampRun(context, run);
      await step("resume", () => context.domains.resume(vmId), 0.8);
      await stampComplete(context, run, true);
    }
    await seen(
      context.table.until(vmId, (vm) => vm?.state === "running", AbortSignal.timeout(SEEN_WITHIN_MS)),
    );
    return { state: "running", was: before.state };
  },
});
