import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { parseWhole, readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { defined } from "../../kernel/defined.ts";

export const raidStates = [
  "active",
  "inactive",
  "broken",
  "recovering",
  "resync",
  "reshape",
  "check",
] as const;
type RaidState = (typeof raidStates)[number];

/** A software RAID array of the kernel's md driver. */
export interface RaidArray {
  readonly name: string;
  /** raid1, raid5, ... */
  readonly level: string;
  readonly state: RaidState;
  /** Number of configured members; absent while the array is not assembled. */
  readonly disks?: number;
  /** Members that are missing or out of sync; absent without redundancy (raid0). */
  readonly degradedDisks?: number;
}

/** Empty without arrays. Containers of external metadata (IMSM, DDF) are not arrays: they hold them, and are never active. */
export function readRaid(roots: Roots): Promise<Reading<readonly RaidArray[]>> {
  const block = join(roots.sysRoot, "block");
  return reading(`${block}/md`, async () => {
    const names = (await readdir(block)).filter((name) => /^md(\d+|_.+)$/.test(name)).sort();
    const arrays = await Promise.all(names.map((name) => readArray(name, join(block, name, "md"))));
    return arrays.filter((array) => array !== undefined);
  });
}

async function readArray(name: string, directory: string): Promise<RaidArray | undefined> {
  const text = (file: string): Promise<string | undefined> => readTextIfThere(join(directory, file));
  const [arrayState, metadata, level, degraded, action, raidDisks] = await Promise.all(
    ["array_state", "metadata_version", "level", "degraded", "sync_action", "raid_disks"].map(text),
  );
  const isContainer = /^external:[^/-]/.test(metadata ?? "");
  // "clear": the leftover device of a stopped array. Undefined: it disappeared during the read.
  if (isContainer || arrayState === undefined || arrayState === "clear") return undefined;
  const count = (raw: string | undefined, what: string): number | undefined =>
    raw === undefined || raw === "" ? undefined : parseWhole(raw.split(" ")[0], `${what} of ${name}`);
  // During a reshape: "4 (3)", after and before.
  const disks = count(raidDisks, "raid_disks");
  const degradedDisks = count(degraded, "degraded");
  return defined({ name, level: level ?? "", state: stateOf(arrayState, action), disks, degradedDisks });
}

const ACTIONS: Readonly<Record<string, RaidState>> = {
  recover: "recovering",
  resync: "resync",
  reshape: "reshape",
  check: "check",
  repair: "check",
};

function stateOf(arrayState: string, action = "idle"): RaidState {
  if (arrayState === "inactive" || arrayState === "broken") return arrayState;
  return ACTIONS[action] ?? "active";
}
