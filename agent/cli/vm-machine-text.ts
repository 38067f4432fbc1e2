import type { Vm__Output } from "../gen/socle/v1/Vm.ts";
import { enumWord, formatTime } from "./format.ts";

/** The devices of a machine, for `socle vm show`; an empty text for each that the VM does not have. */
export function machineTexts({
  spec,
  rescue,
  watchdogExpirations,
  watchdogExpiredAt,
}: Vm__Output): [string, string][] {
  const { graphics = "GRAPHICS_UNSPECIFIED", watchdog = null } = spec ?? {};
  const action = watchdog === null ? "" : enumWord(watchdog.action, "WATCHDOG_ACTION");
  const expired =
    watchdogExpirations === 0
      ? ""
      : `expired ${watchdogExpirations} times, the last at ${formatTime(watchdogExpiredAt)}`;
  const { running = false, baseVolume = null } = rescue ?? {};
  return [
    [
      "rescue",
      rescue === null
        ? ""
        : `${running ? "runs" : "is off"}, booted from ${baseVolume?.pool ?? ""}/${baseVolume?.volume ?? ""}`,
    ],
    ["screen", graphics === "GRAPHICS_UNSPECIFIED" ? "" : enumWord(graphics, "GRAPHICS")],
    ["watchdog", [action, expired].filter((text) => text !== "").join("; ")],
  ];
}
