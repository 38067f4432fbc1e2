import * as z from "../../kernel/zod.ts";
import { volumeKey } from "../storage/volume-users.ts";
import { defineOperation } from "./definition.ts";
import { volumeSchema } from "./erasure.ts";
import { requireVolumeFree } from "./volume-free.ts";
import { mayHaveBegun } from "./work.ts";

const RESIZE = "resize";

/** Enlarges a volume that no VM uses. A volume that is as large already is left alone. */
export const resizeVolume = defineOperation({
  kind: "RESIZE_VOLUME",
  intent: z.object({
    volume: volumeSchema,
    capacityBytes: z.number(),
    /** Restricts the caller to this tenant. */
    onlyTenant: z.string().exactOptional(),
  }),
  lane: "command",
  mayLeaveHalf: true,
  checksInstance: "always",
  grows: ({ volume, capacityBytes }) => ({ volumes: [{ ...volume, capacityBytes }], diskBytes: 0 }),
  async run(context, { volume, capacityBytes, onlyTenant }, run) {
    const { step } = run;
    // A volume cannot be made smaller again, and the quota must follow.
    if (mayHaveBegun(run, RESIZE)) step.goOn();
    else
      await step(
        "check users",
        () => requireVolumeFree(context, { volume, change: "resize", onlyTenant }),
        0.3,
      );
    step.commit();
    await step(RESIZE, () => context.volumes.grow(volume, capacityBytes), 0.6);
    return { volume: volumeKey(volume), capacity_bytes: String(capacityBytes) };
  },
});
