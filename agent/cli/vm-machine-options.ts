import { Option, type Command as Cli } from "commander";
import { specEnums } from "../contract/spec-enums.ts";
import type { VmSpec } from "../gen/socle/v1/VmSpec.ts";

const { graphics: screens, watchdogAction: actions } = specEnums;
/** Without the device. `none` is an action of a watchdog. */
const OFF = "off";

/** Flags for the devices of a machine. */
export interface MachineFlags {
  readonly graphics?: (typeof screens.words)[number] | typeof OFF;
  readonly watchdog?: (typeof actions.words)[number] | typeof OFF;
}

/** `when`: from when on they are in effect. */
export function addMachineOptions(command: Cli, when?: string): Cli {
  const text = (what: string): string => (when === undefined ? what : `${what.slice(0, -1)}, ${when}.`);
  return command
    .addOption(
      new Option("--graphics <kind>", text("A screen, for socle vm screen.")).choices([
        ...screens.words,
        OFF,
      ]),
    )
    .addOption(
      new Option(
        "--watchdog <action>",
        text("What an expired watchdog of the guest does; none: only report it."),
      ).choices([...actions.words, OFF]),
    );
}

/** The fields of a spec that these flags set; null or GRAPHICS_UNSPECIFIED: without the device. */
export const machineFields = ({
  graphics,
  watchdog,
}: MachineFlags): Pick<VmSpec, "graphics" | "watchdog"> => ({
  ...(graphics === undefined
    ? {}
    : { graphics: graphics === OFF ? "GRAPHICS_UNSPECIFIED" : screens.toProto(graphics) }),
  ...(watchdog === undefined
    ? {}
    : { watchdog: watchdog === OFF ? null : { action: actions.toProto(watchdog) } }),
});
