import * as z from "../../kernel/zod.ts";
import { defineOperation } from "./definition.ts";
import { stampComplete } from "./guest-run.ts";
import { known, renewMetadata, requireState, settled } from "./vm-state.ts";
import { seen } from "./work.ts";

/** Deletes the saved state of a stopped VM. Repeating it is safe. */
export const discardSavedState = defineOperation({
  kind: "DISCARD_SAVED_STATE",
  intent: z.object({}),
  lane: "command",
  // Otherwise a rescue that was suspended by another client could not end.
  acceptsRescued: true,
  endState: "stopped",
  admit: () => ({}),
  async run(context, _intent, run) {
    const { domains } = context;
    const { vmId, operationId, step, resumed } = run;
    const { state } = resumed ? await settled(context, vmId) : await known(context, vmId);
    requireState(state, ["stopped", "crashed"], "relieved of its saved state");
    const exists = await domains.savedStates.exists(vmId);
    if (exists) {
      step.requireOpen();
      await domains.stamps.begin(vmId, operationId);
      await step("discard saved state", () => domains.savedStates.remove(vmId), 0.9);
      await stampComplete(context, run, false);
      // libvirt has no event for this. The one of the metadata causes a read of the VM.
      await renewMetadata(context, vmId, false);
      await seen(context, vmId, (vm) => vm?.savedState !== true);
    }
    return { state, discarded: exists || run.done.has("discard saved state") ? "yes" : "none" };
  },
});
