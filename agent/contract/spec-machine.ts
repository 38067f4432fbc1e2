import * as z from "../kernel/zod.ts";
import { specEnums } from "./spec-enums.ts";

/** Devices of a machine that a VM has at most one of each. */
export const machineDevices = {
  graphics: z
    .enum(specEnums.graphics.words)
    .meta({ description: "A screen and a keyboard: socle vm screen. Default: none.", examples: ["vnc"] })
    .exactOptional(),
  watchdog: z
    .strictObject({
      model: z
        .enum(specEnums.watchdogModel.words)
        .meta({ description: "Default: itco on x86, else i6300esb.", examples: ["itco"] })
        .exactOptional(),
      action: z.enum(specEnums.watchdogAction.words).meta({
        description: "reset, poweroff, pause, or none: report it only.",
        examples: ["reset"],
      }),
    })
    .meta({ description: "What happens when the guest does not reset its watchdog in time." })
    .exactOptional(),
};
