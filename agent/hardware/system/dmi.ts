import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";

/** The machine's identity in its firmware. Empty fields, and fields that only root may read, are absent. */
interface Dmi {
  readonly systemVendor?: string;
  readonly productName?: string;
  readonly productSerial?: string;
  readonly boardVendor?: string;
  readonly boardName?: string;
  readonly biosVersion?: string;
}

const files = {
  systemVendor: "sys_vendor",
  productName: "product_name",
  productSerial: "product_serial",
  boardVendor: "board_vendor",
  boardName: "board_name",
  biosVersion: "bios_version",
} as const satisfies Record<keyof Dmi, string>;

export function readDmi(roots: Roots): Promise<Reading<Dmi>> {
  const directory = join(roots.sysRoot, "class/dmi/id");
  return reading(directory, async () => {
    await readdir(directory);
    const fields = await Promise.all(
      Object.entries(files).map(async ([field, file]) => [
        field,
        meaningful(await readTextIfThere(join(directory, file))),
      ]),
    );
    return Object.fromEntries(fields.filter(([, value]) => value !== undefined)) as Dmi;
  });
}

/** A firmware text, or undefined for the vendor's placeholder. */
export function meaningful(text: string | undefined): string | undefined {
  const words = text?.trim() ?? "";
  const placeholder =
    /^(|-|none|n\/?a|unknown|undefined|default string|not (specified|applicable|available|present)|to be filled by o\.?e\.?m\.?|0+|x+|0?123456789|system (serial number|product name|manufacturer))$/i;
  return placeholder.test(words) ? undefined : words;
}
