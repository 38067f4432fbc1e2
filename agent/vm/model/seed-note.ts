import * as z from "../../kernel/zod.ts";
import type { Immutable } from "../../kernel/immutable.ts";
import { parseJson } from "../../kernel/text/json.ts";
import { resourceName } from "../../contract/spec-values.ts";

// The cloud-init seeds of a VM whose seed was changed, in the metadata of its domain. No seed is written a second time: a guest
// may be reading it. A change makes another volume, which the VM's next start uses.

const schema = z.object({
  pool: resourceName,
  /** The volume that the next start uses; absent: the one that was made with the VM, if it was. */
  active: resourceName.exactOptional(),
  /** Volumes that are being made, or that a guest may still read. */
  others: z.array(resourceName),
  /** cloud-init runs again for another one; absent: the VM's instance. */
  instanceId: z.uuid().exactOptional(),
});
export type SeedNote = Immutable<z.output<typeof schema>>;

/** The seed that is made with a VM. No disk's volume has this ending. */
export const firstSeed = (vmId: string): string => `socle-${vmId}-seed.iso`;

/** A later one. */
export const laterSeed = (vmId: string, id: string): string => `socle-${vmId}-seed.${id}.iso`;

/** Throws if the text is not what seedText() returned for this VM: no other VM's volume is named. */
export function seedOf(vmId: string, text: string): SeedNote {
  const value = schema.parse(parseJson(text));
  const { active = firstSeed(vmId), others } = value;
  for (const volume of [active, ...others])
    if (!volume.startsWith(`socle-${vmId}-seed.`) || !volume.endsWith(".iso"))
      throw new Error(`${volume} is no seed of this VM`);
  return value;
}

/** Undefined if there is nothing to store. */
export const seedText = (value: SeedNote): string | undefined =>
  value.active === undefined && value.others.length === 0 && value.instanceId === undefined
    ? undefined
    : JSON.stringify(value);
