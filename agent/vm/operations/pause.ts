import * as z from "zod";
import { stampComplete, stampRun } from "./guest-run.ts";
import { defineOperation } from "./definition.ts";
import { known, requireState, settled } from "./vm-state.ts";
import { interrupted, seen, SEEN_WITHIN_MS } from "./work.ts";

export const pauseVm = defineOperation({
  kind: "PAUSE_VM",
  intent: z.object({}),
  lane: "command",
  endState: "paused",
  admit: () => ({}),
  async run(context, _intent, run) {
    const { vmId, step, resumed } = run;
    const before = resumed ? await settled(context, vmId) : await known(context, vmId);
    if (before.state !== "paused") {
      if (resumed) throw interrupted(`the VM is ${before.state}; pause it again if it should be paused`);
      requireState(before.state, ["running"], "paused");
      await stampRun(context, run);
      await step("suspend", () => context.domains.suspend(vmId), 0.8);
      await stampComplete(context, run, true);
    }
    await seen(
      context.table.until(vmId, (vm) => vm?.state === "paused", AbortSignal.timeout(SEEN_WITHIN_MS)),
    );
    return { state: "paused", was: before.state };
  },
});
