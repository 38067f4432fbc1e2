import { join } from "node:path";
import { readDisks } from "../storage/disks.ts";
import { meaningful, readDmi } from "./dmi.ts";
import { readTextIfThere, valueOf, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";

interface Firmware {
  /** bios, microcode, embedded_controller, or a disk's name. */
  readonly component: string;
  readonly version: string;
}

/** Firmware versions that the kernel knows without a bus query. */
export async function readFirmware(roots: Roots): Promise<Reading<readonly Firmware[]>> {
  const text = async (path: string): Promise<string | undefined> =>
    meaningful(await readTextIfThere(join(roots.sysRoot, path)));
  const [dmi, disks, microcode, controller] = await Promise.all([
    readDmi(roots),
    readDisks(roots),
    text("devices/system/cpu/cpu0/microcode/version"),
    text("class/dmi/id/ec_firmware_release"),
  ]);
  const versions: readonly (readonly [string, string | undefined])[] = [
    ["bios", valueOf(dmi)?.biosVersion],
    ["microcode", microcode],
    ["embedded_controller", controller],
    ...(valueOf(disks) ?? []).map(({ name, firmware }) => [name, meaningful(firmware)] as const),
  ];
  const value = versions.flatMap(([component, version]) =>
    version === undefined ? [] : [{ component, version }],
  );
  if (value.length > 0) return { kind: "read", value };
  return { kind: "unsupported", reason: "no firmware reports its version" };
}
