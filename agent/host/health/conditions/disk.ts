import type { Disk } from "../../../hardware/storage/disks.ts";
import type { RaidArray } from "../../../hardware/storage/raid.ts";
import type { DiskHealth, DiskWarning } from "../../../hardware/storage/smart-report.ts";
import type { ExaminedDisk } from "../../../hardware/storage/smart.ts";
import { bad, badIf, good, type Verdict } from "../trigger.ts";
import {
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
 * A failed disk must be replaced, which only an operator can confirm: it may fall off the bus, and is then
 * unreadable.
 */
const untilReplaced = { latch: "acknowledge" } as const;

export const diskConditions = ({ config }: ConditionContext) => {
  const inSync = streak(2, config.health.raidInSyncSeconds);
  return {
    DiskWear: {
      wear: watching("diskHealth", { reason: "DiskWornOut", effect: "degraded" }, (disks) =>
        wearVerdicts(disks, config.health.diskWearMaxRatio),
      ),
    },
    /** The closest effect to "no local storage": new VM disks must not be placed there. */
    DiskFailing: {
      health: watching(
        "diskHealth",
        { reason: "DiskPredictsFailure", effect: "no_schedule", ...untilReplaced },
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
        { reason: "RaidDiskMissing", effect: "degraded", leave: inSync },
        missingVerdicts,
      ),
      inactive: watching(
        "raid",
        { reason: "RaidInactive", effect: "evacuate", leave: inSync },
        inactiveVerdicts,
      ),
    },
  } satisfies ConditionTable;
};

const wearVerdicts = (disks: readonly ExaminedDisk[], maxRatio: number): Verdicts =>
  ofDisks(disks, ({ disk, health: { wearRatio } }) => {
    if (wearRatio === undefined) return undefined;
    const evidence = `${nameOf(disk)} is worn to ${percent(wearRatio)} of its life, ${percent(maxRatio)} is the limit`;
    return badIf(wearRatio >= maxRatio, evidence);
  });

/** Warnings of data loss. A disk that is too hot, or lost its backup capacitor, stays usable. */
const FATAL: readonly (readonly [DiskWarning, string])[] = [
  ["spare", "its spare blocks are used up"],
  ["reliability", "it is not reliable any more"],
  ["read_only", "it takes no more writes"],
  ["self_assessment", "it expects to fail"],
];

const failingVerdicts = (disks: readonly ExaminedDisk[]): Verdicts =>
  ofDisks(disks, ({ disk, health: { warnings, spareRatio, spareThresholdRatio } }) => {
    const fatal = FATAL.flatMap(([warning, words]) => (warnings.get(warning) === true ? [words] : []));
    const isShort =
      spareRatio !== undefined && spareThresholdRatio !== undefined && spareRatio < spareThresholdRatio;
    const reasons = isShort
      ? [
          ...fatal,
          `${percent(spareRatio)} of its spare blocks are left, ${percent(spareThresholdRatio)} is the least`,
        ]
      : fatal;
    if (reasons.length === 0) return good(`${nameOf(disk)} reports no problem`);
    return bad(`${nameOf(disk)}: ${reasons.join(", ")}`);
  });

const controllerVerdicts = (disks: readonly Disk[]): Verdicts =>
  each(disks, nameOf, (disk) => badIf(disk.state === "dead", `${nameOf(disk)} is ${disk.state ?? "there"}`));

const missingVerdicts = (arrays: readonly RaidArray[]): Verdicts =>
  each(arrays, arrayName, ({ name, level, state, disks, degradedDisks = 0 }) => {
    if (degradedDisks === 0) return good(`${name} is whole`);
    const of = disks === undefined ? "" : ` of ${disks}`;
    const rebuilding = state === "recovering" ? " and is rebuilding" : "";
    return bad(`${name} (${level}) lacks ${degradedDisks}${of} disks${rebuilding}`);
  });

const inactiveVerdicts = (arrays: readonly RaidArray[]): Verdicts =>
  each(arrays, arrayName, ({ name, state }) =>
    badIf(state === "inactive" || state === "broken", `${name} is ${state}`),
  );

const arrayName = ({ name }: RaidArray): string => name;

/** Verdicts for disks that report their health; a failed reading is unknown. */
const ofDisks = (
  disks: readonly ExaminedDisk[],
  judge: (reported: { disk: Disk; health: DiskHealth }) => Verdict | undefined,
): Verdicts =>
  each(
    disks,
    ({ disk }) => nameOf(disk),
    ({ disk, health }) => {
      if (health.kind === "unsupported") return undefined;
      if (health.kind === "failed") return notRead(health);
      return judge({ disk, health: health.value });
    },
  );

/** Enough to find the disk in the rack, and to distinguish it from its replacement. */
const nameOf = ({ name, model, serial }: Disk): string =>
  `${name} (${[model, serial === "" ? "" : `serial ${serial}`].filter((word) => word !== "").join(", ")})`;
