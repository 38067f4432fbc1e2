import type { Reading } from "../../hardware/reading.ts";
import type { VolumeCapacities } from "../capacity/storage-ledger.ts";
import type { Verdicts } from "./conditions/condition.ts";
import { bad, good, unknown, type Verdict } from "./trigger.ts";

const MOST_NAMED = 3;

/** By pool: whether libvirt found another format in a file than its name means. */
export const judgeVolumes = (volumes: ReadonlyMap<string, Reading<VolumeCapacities>>): Verdicts =>
  new Map([...volumes].map(([pool, reading]) => [pool, verdictOn(pool, reading)]));

function verdictOn(pool: string, reading: Reading<VolumeCapacities>): Verdict {
  if (reading.kind !== "read") return unknown(`storage pool ${pool}: ${reading.reason}`);
  const found = [...(reading.value.suspicious ?? [])].map(([name, format]) => `${name} as ${format}`);
  if (found.length === 0) return good(`the files of storage pool ${pool} begin as their names mean`);
  const more = found.length > MOST_NAMED ? ` and ${found.length - MOST_NAMED} more` : "";
  return bad(
    `files of storage pool ${pool} begin as other formats than their names mean: ${found.slice(0, MOST_NAMED).join(", ")}${more}`,
  );
}
