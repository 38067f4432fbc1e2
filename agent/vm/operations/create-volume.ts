import * as z from "../../kernel/zod.ts";
import { specEnums } from "../../contract/spec-enums.ts";
import { defineOperation } from "./definition.ts";
import { volumeSchema } from "./erasure.ts";
import { mayHaveBegun } from "./work.ts";

const CREATE = "create";

/** Creates an empty volume in a pool, within its tenant's quota. */
export const createVolume = defineOperation({
  kind: "CREATE_VOLUME",
  intent: z.object({
    volume: volumeSchema,
    format: z.enum(specEnums.diskFormat.words),
    capacityBytes: z.number(),
  }),
  lane: "command",
  mayLeaveHalf: true,
  checksInstance: "always",
  grows: ({ volume, capacityBytes }) => ({ volumes: [{ ...volume, capacityBytes }], diskBytes: 0 }),
  async run({ volumes }, { volume, format, capacityBytes }, run) {
    const { step } = run;
    const { pool, volume: name } = volume;
    const mayBeThere = mayHaveBegun(run, CREATE);
    if (mayBeThere) step.goOn();
    else await step("check name", () => volumes.requireAbsent([volume]), 0.3);
    step.commit();
    await step(CREATE, () => volumes.make({ pool, name, format, capacityBytes }, mayBeThere), 0.6);
    return { pool, volume: name, capacity_bytes: String(capacityBytes) };
  },
});
