import { systemctl } from "../systemctl.ts";
import { speaker, type Finding } from "./finding.ts";

/** Whether the guests are asked to stop before the host goes down. Undefined where systemd has no such unit. */
export async function checkGuestsUnit(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Finding | undefined> {
  const say = speaker("guests");
  const stateOf = async (unit: string): Promise<ReadonlyMap<string | undefined, string | undefined>> => {
    const shown = await systemctl(["show", unit, "--property=LoadState,ActiveState"], environment);
    return new Map(shown.split("\n").map((line) => [line.split("=")[0], line.split("=")[1]]));
  };
  const unit = await stateOf("socle-guests.service");
  if (unit.get("LoadState") !== "loaded") return undefined;
  if (unit.get("ActiveState") !== "active")
    return say.warn(
      "socle-guests.service is not active: guests are not asked to stop before the host shuts down",
      "systemctl enable --now socle-guests.service",
    );
  if ((await stateOf("libvirt-guests.service")).get("ActiveState") === "active")
    return say.ok(
      "socle-guests.service stops the guests with the host; libvirt-guests handles those that are left",
    );
  return say.ok("socle-guests.service stops the guests with the host");
}
