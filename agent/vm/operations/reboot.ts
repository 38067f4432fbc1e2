import * as z from "../../kernel/zod.ts";
import { stampComplete, stampRun } from "./guest-run.ts";
import { defineOperation } from "./definition.ts";
import { known, requireState } from "./vm-state.ts";
import { interrupted } from "./work.ts";

export const rebootVm = defineOperation({
  kind: "REBOOT_VM",
  acceptsRescued: true,
  intent: z.object({ force: z.boolean() }),
  lane: "command",
  endState: "running",
  admit: ({ force }: { readonly force: boolean }) => ({ force }),
  async run(context, { force }, run) {
    const { vmId, step, resumed } = run;
    if (resumed)
      throw interrupted(
        "whether the guest received the reboot request is not known; reboot it again if needed",
      );
    const { state } = await known(context, vmId);
    requireState(state, ["running"], "rebooted");
    await stampRun(context, run);
    if (force) await step("reset", () => context.domains.reset(vmId), 0.8);
    else await step("ask guest", () => context.domains.reboot(vmId), 0.8);
    await stampComplete(context, run, true);
    return { by: force ? "reset" : "guest" };
  },
});
