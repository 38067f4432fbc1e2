import * as z from "../../kernel/zod.ts";
import { defineOperation } from "./definition.ts";
import { stampComplete, stampRun } from "./guest-run.ts";
import { known, requireState } from "./vm-state.ts";
import { interrupted } from "./work.ts";

export const injectNmi = defineOperation({
  kind: "INJECT_NMI",
  acceptsRescued: true,
  intent: z.object({}),
  lane: "command",
  endState: "running",
  admit: () => ({}),
  async run(context, _intent, run) {
    const { vmId, step, resumed } = run;
    if (resumed)
      throw interrupted("whether the guest received the NMI is not known; send it again if needed");
    const { state } = await known(context, vmId);
    requireState(state, ["running"], "sent an NMI");
    await stampRun(context, run);
    await step("inject NMI", () => context.domains.injectNmi(vmId), 0.8);
    await stampComplete(context, run, true);
    return { state };
  },
});
