import type { FilesystemSpace } from "../../../hardware/storage/filesystem.ts";
import type { WatchedMount } from "../../../hardware/storage/mount-watch.ts";
import type { Reading } from "../../../hardware/reading.ts";
import { badIf, unknown, type Verdict } from "../trigger.ts";
import {
  below,
  each,
  percent,
  streak,
  watching,
  type ConditionContext,
  type ConditionTable,
  type Verdicts,
} from "./condition.ts";

/** A filesystem that turned read-only lost writes: latched, even if it becomes writable again. */
const heldOnce = { latch: "acknowledge" } as const;

export const filesystemConditions = ({ config }: ConditionContext) =>
  ({
    DiskSpace: {
      space: watching(
        "filesystems",
        {
          reason: "FilesystemAlmostFull",
          effect: "no_schedule",
          leave: streak(2, config.health.diskSpaceGoodSeconds),
        },
        (filesystems) => spaceVerdicts(filesystems, config.health.diskSpaceMinRatio, config.health.headroom),
      ),
    },
    FilesystemReadOnly: {
      any: watching(
        "mounts",
        { ...heldOnce, reason: "FilesystemReadOnly", effect: "no_schedule" },
        (mounts) => readOnlyVerdicts(mounts),
      ),
      vms: watching("mounts", { ...heldOnce, reason: "VmFilesystemReadOnly", effect: "evacuate" }, (mounts) =>
        readOnlyVerdicts(mounts.filter(({ holdsVms }) => holdsVms)),
      ),
    },
  }) satisfies ConditionTable;

/** By path; a filesystem that does not answer is unknown. */
export const spaceVerdicts = (
  filesystems: ReadonlyMap<string, Reading<FilesystemSpace>>,
  minRatio: number,
  headroom: number,
): Verdicts =>
  new Map([...filesystems].map(([path, space]) => [path, spaceVerdict(path, space, minRatio, headroom)]));

function spaceVerdict(
  path: string,
  space: Reading<FilesystemSpace>,
  minRatio: number,
  headroom: number,
): Verdict {
  if (space.kind !== "read") return unknown(space.reason);
  const { availableRatio } = space.value;
  const evidence = `${path} has ${percent(availableRatio)} free, at least ${percent(minRatio)} wanted`;
  return { kind: below(availableRatio, minRatio, headroom), evidence };
}

const readOnlyVerdicts = (mounts: readonly WatchedMount[]): Verdicts =>
  each(
    mounts,
    ({ mountPoint }) => mountPoint,
    ({ mountPoint, type, source, readOnly }) => {
      const state = readOnly ? "turned read-only" : "is writable";
      return badIf(readOnly, `${mountPoint} (${type} on ${source}) ${state}`);
    },
  );
