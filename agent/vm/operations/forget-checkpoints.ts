import { toSocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import type { Backups, WholeBackup } from "../model/backups.ts";
import { diskAlias } from "../model/device-names.ts";
import { hasLeftQemu, withQemu } from "./paused-qemu.ts";
import { readSpec } from "./spec-change.ts";
import { isUndecided, type WorkContext, type WorkRun } from "./work.ts";

// A checkpoint is libvirt's note of a bitmap in each file of a disk. Only QEMU can delete a bitmap.

const namesOf = ({ stale, whole }: Backups): string[] => [
  ...stale,
  ...(whole === undefined ? [] : [whole.id]),
];

/**
 * Deletes the checkpoints of a VM with their bitmaps, before its disks are switched while it is off: libvirt refuses that while
 * there are any. The next backup is full. A failure is logged only: the checkpoints can be dropped without their bitmaps.
 */
export async function forgetCheckpoints(context: WorkContext, run: WorkRun, spec: VmSpec): Promise<void> {
  const { domains, log } = context;
  const { vmId } = run;
  const names = await domains.backups.existing(vmId, namesOf((await readSpec(context, vmId)).backups));
  if (names.length === 0 && !(await hasLeftQemu(context, run))) return;
  try {
    await withQemu(context, run, spec, async () => {
      await domains.backups.forget(vmId, names);
    });
  } catch (thrown) {
    const error = toSocleError(thrown);
    if (isUndecided(error, run)) throw thrown;
    log.warn({ vm: vmId, name: spec.name, err: error }, "old bitmaps of changes stay in the VM's disks");
  }
}

/**
 * Deletes the checkpoints whose bitmap in the disk is broken, as after a crash of QEMU, which then refuses to enlarge the
 * file. The VM must have a QEMU. Returns whether there was one.
 */
export async function forgetBroken(context: WorkContext, vmId: string, disk: string): Promise<boolean> {
  const { backups, devices } = context.domains;
  const device = (await devices.disk(vmId, diskAlias(disk)))?.target.device;
  const { stale, whole } = (await readSpec(context, vmId)).backups;
  // The newest may be the base of other disks alone: without a bitmap in this one it is not broken.
  const asked = hasBitmap(whole, disk) ? namesOf({ stale, whole }) : stale;
  const names = await backups.existing(vmId, asked);
  if (device === undefined) return false;
  const broken: string[] = [];
  for (const name of names)
    if (!(await backups.withBitmap(vmId, name, [device])).has(device)) broken.push(name);
  await backups.forget(vmId, broken);
  return broken.length > 0;
}

/** Whether a backup of the disk may have left a bitmap in it. */
export const mayHaveBitmap = ({ stale, whole }: Backups, disk: string): boolean =>
  stale.length > 0 || hasBitmap(whole, disk);

const hasBitmap = (whole: Backups["whole"], disk: string): whole is WholeBackup =>
  whole?.disks.some((each) => each.disk === disk && each.bitmap === true) === true;
