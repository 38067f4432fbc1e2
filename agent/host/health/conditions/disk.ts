import type { Disk } from "../../../hardware/storage/disks.ts";
import type { RaidArray } from "../../../hardware/storage/raid.ts";
import type { DiskHealth, DiskWarning } from "../../../hardware/storage/smart-report.ts";
import type { ExaminedDisk } from "../../../hardware/storage/smart.ts";
import type { Verdict } from "../trigger.ts";
import {
  atOnce,
  each,
  notRead,
  percent,
  streak,
  watching,
  type ConditionContext,
  type ConditionTable,
  type Verdicts,
} from "./condition.ts";

/**
 * One that failed has to be replaced, which nobody but an operator knows: it may fall off the bus, and then there is
 * nothing left to ask.
 */
const untilReplaced = { enter: atOnce, leave: atOnce, latch: "acknowledge" } as const;

export const diskConditions = ({ config }: ConditionContext) => {
  const inSync = streak(2, config.health.raidInSyncSeconds);
  return {
    DiskWear: {
      wear: watching(
        "diskHealth",
        { reason: "DiskWornOut", effect: "degraded", enter: atOnce, leave: atOnce },
        (disks) => wearVerdicts(disks, config.health.diskWearMaxRatio),
      ),
    },
    /** The effect is the nearest there is to "no local storage": a VM's disk must not be put there. */
    DiskFailing: {
      health: watching(
        "diskHealth",
        { reason: "DiskSaysItFails", effect: "no_schedule", ...untilReplaced },
        failingVerdicts,
      ),
      controller: watching(
        "disks",
        { reason: "DiskControllerDead", effect: "no_schedule", ...untilReplaced },
        controllerVerdicts,
      ),
    },
    RaidDegraded: {
      missing: watching(
        "raid",
        { reason: "RaidMissesDisk", effect: "degraded", enter: atOnce, leave: inSync },
        missingVerdicts,
      ),
      inactive: watching(
        "raid",
        { reason: "RaidInactive", effect: "evacuate", enter: atOnce, leave: inSync },
        inactiveVerdicts,
      ),
    },
  } satisfies ConditionTable;
};

export function wearVerdicts(disks: readonly ExaminedDisk[], maxRatio: number): Verdicts {
  return ofDisks(disks, ({ disk, health: { wearRatio } }) => {
    if (wearRatio === undefined) return undefined;
    const evidence = `${nameOf(disk)} is worn to ${percent(wearRatio)} of its life, ${percent(maxRatio)} is the limit`;
    return { kind: wearRatio >= maxRatio ? "bad" : "good", evidence };
  });
}

/** Warnings by which data is in danger; a disk that is only too hot, or lost its backup capacitor, serves on. */
const FATAL: readonly (readonly [DiskWarning, string])[] = [
  ["spare", "its spare blocks are used up"],
  ["reliability", "it is not reliable any more"],
  ["read_only", "it takes no more writes"],
  ["self_assessment", "it expects to fail"],
];

export function failingVerdicts(disks: readonly ExaminedDisk[]): Verdicts {
  return ofDisks(disks, ({ disk, health: { warnings, spareRatio, spareThresholdRatio } }) => {
    const said = FATAL.flatMap(([warning, words]) => (warnings.get(warning) === true ? [words] : []));
    const isShort =
      spareRatio !== undefined && spareThresholdRatio !== undefined && spareRatio < spareThresholdRatio;
    const reasons = isShort
      ? [
          ...said,
          `${percent(spareRatio)} of its spare blocks are left, ${percent(spareThresholdRatio)} is the least`,
        ]
      : said;
    if (reasons.length === 0) return { kind: "good", evidence: `${nameOf(disk)} says it is well` };
    return { kind: "bad", evidence: `${nameOf(disk)}: ${reasons.join(", ")}` };
  });
}

export function controllerVerdicts(disks: readonly Disk[]): Verdicts {
  return each(disks, nameOf, (disk) => ({
    kind: disk.state === "dead" ? "bad" : "good",
    evidence: `${nameOf(disk)} is ${disk.state ?? "there"}`,
  }));
}

export function missingVerdicts(arrays: readonly RaidArray[]): Verdicts {
  return each(arrays, arrayName, ({ name, level, state, disks, degradedDisks = 0 }) => {
    if (degradedDisks === 0) return { kind: "good", evidence: `${name} is whole` };
    const of = disks === undefined ? "" : ` of ${disks}`;
    const mending = state === "recovering" ? ", and is taking one back" : "";
    return { kind: "bad", evidence: `${name} (${level}) misses ${degradedDisks}${of} disks${mending}` };
  });
}

export function inactiveVerdicts(arrays: readonly RaidArray[]): Verdicts {
  return each(arrays, arrayName, ({ name, state }) => ({
    kind: state === "inactive" || state === "broken" ? "bad" : "good",
    evidence: `${name} is ${state}`,
  }));
}

const arrayName = ({ name }: RaidArray): string => name;

/** Of those that tell how they are; one that should and did not is unknown. */
function ofDisks(
  disks: readonly ExaminedDisk[],
  judge: (told: { disk: Disk; health: DiskHealth }) => Verdict | undefined,
): Verdicts {
  return each(
    disks,
    ({ disk }) => nameOf(disk),
    ({ disk, health }) => {
      if (health.kind === "unsupported") return undefined;
      if (health.kind === "failed") return notRead(health);
      return judge({ disk, health: health.value });
    },
  );
}

/** Enough to find it in the rack, and to tell it from the one that takes its place. */
function nameOf({ name, model, serial }: Disk): string {
  return `${name} (${[model, serial === "" ? "" : `serial ${serial}`].filter((word) => word !== "").join(", ")})`;
}
