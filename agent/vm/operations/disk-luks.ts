import { makeLuks, type Luks } from "../../kernel/qcow2/luks.ts";
import { diskPart } from "../model/sealed-keys.ts";
import { readSpec } from "./spec-change.ts";
import { keysMissing } from "./start.ts";
import type { WorkContext } from "./work.ts";

/** For a file under the passphrase of a disk. Throws `conflict` KEYS_MISSING, and as `GuestKeys.passphrase`. */
export async function luksOf(context: WorkContext, vmId: string, disk: string): Promise<Luks> {
  const part = diskPart(disk);
  const sealed = (await readSpec(context, vmId)).socle.keys?.[part];
  if (sealed === undefined) throw keysMissing([part]);
  return await makeLuks(Buffer.from(await context.keys.passphrase(vmId, part, sealed)), "random");
}
