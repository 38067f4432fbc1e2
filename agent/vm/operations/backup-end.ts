import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { withStale, type Backups, type OpenBackup, type WholeBackup } from "../model/backups.ts";
import { defined } from "../../kernel/defined.ts";
import { withoutLoose } from "./layers.ts";
import { endQemu } from "./end-qemu.ts";
import { readSpec, rewriteKept } from "./spec-change.ts";
import type { WorkContext } from "./work.ts";

/**
 * The socket on which the VM's QEMU serves its backup. libvirt gives QEMU's AppArmor profile the same name, by which that profile
 * allows this socket alone.
 */
export const backupSocket = (
  { socketDirectory }: Pick<WorkContext, "socketDirectory">,
  vmId: string,
): string => join(socketDirectory, `libvirt-${vmId}.nbd`);

/** QEMU leaves its socket behind when it is killed, and makes none over it. */
export async function removeSocket(context: WorkContext, vmId: string): Promise<void> {
  await unlink(backupSocket(context, vmId)).catch((thrown: unknown) => {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT")
      context.log.warn({ vm: vmId, err: thrown }, "the socket of a backup could not be removed");
  });
}

/** The backups once the open one is decided: its scratch volumes and its job are left to end. */
export function decided(now: Backups, open: OpenBackup, success: boolean): Backups {
  const ending: Backups = { ...now, open: { ...open, phase: "ending" } };
  if (!success) return open.disks.some(({ bitmap }) => bitmap) ? withStale(ending, open.id) : ending;
  const { id, createdAtMs, base, quiesced, disks } = open;
  const whole = defined<WholeBackup>({
    id,
    createdAtMs,
    base,
    quiesced,
    disks: disks.map(({ device: _d, pool: _p, scratch: _s, ...disk }) => disk),
  });
  return { ...(now.whole === undefined ? ending : withStale(ending, now.whole.id)), whole };
}

/**
 * Ends what is left of a decided backup: its job, its scratch volumes, its QEMU, and old checkpoints. A guest that QEMU paused
 * because a scratch volume had no space for its write goes on. `resumed`: whether one did.
 */
export async function endBackup(
  context: WorkContext,
  vmId: string,
  step: <T>(name: string, work: () => Promise<T>, weight: number) => Promise<T>,
): Promise<{ readonly backups: Backups; readonly resumed: boolean }> {
  const { domains, volumes } = context;
  const { backups } = await readSpec(context, vmId);
  const { open } = backups;
  if (open === undefined) return { backups, resumed: false };
  await step("end job", () => domains.backups.end(vmId, open.id), 0.3);
  const resume = (): Promise<boolean> => resumeStarved(context, vmId, open, step);
  try {
    await removeSocket(context, vmId);
    await step(
      "delete scratch volumes",
      async () => {
        for (const { pool, scratch: volume } of open.disks) await volumes.remove({ pool, volume });
      },
      0.2,
    );
    // QEMU writes to the disks' files for that, which may need the room.
    await step("delete bitmaps", () => forgetStale(context, vmId), 0.2);
  } catch (thrown) {
    // A pool that refuses a deletion must not keep the guest paused. The next try resumes it, if this one cannot.
    await resume().catch(() => undefined);
    throw thrown;
  }
  // Before the note of the backup is removed: an interrupted end resumes it too.
  const resumed = await resume();
  const { off } = (await readSpec(context, vmId)).backups.open ?? {};
  if (off === true) await step("stop paused", () => endQemu(context, vmId), 0.1);
  const kept = await step(
    "write backups",
    () =>
      rewriteKept(context, vmId, ({ snapshots, backups: now }) => {
        const { open: _open, ...rest } = now;
        const loose = open.disks.map(({ disk, scratch }) => ({ disk, volume: scratch }));
        return { snapshots: withoutLoose(snapshots, loose), backups: rest };
      }),
    0.1,
  );
  return { backups: kept.backups, resumed };
}

/**
 * Once the job of the backup has ended: QEMU repeats the write when the guest goes on. A guest that is paused for another reason,
 * or since before the backup, is left so. Returns whether it was resumed.
 */
export async function resumeStarved(
  { domains }: Pick<WorkContext, "domains">,
  vmId: string,
  { disks, wasPaused }: Pick<OpenBackup, "disks" | "wasPaused">,
  step: (name: string, work: () => Promise<void>, weight: number) => Promise<void> = (_name, work) => work(),
): Promise<boolean> {
  if (wasPaused === true || !isPausedByError(await domains.state(vmId))) return false;
  const starved = await domains.backups.withoutSpace(vmId);
  if (!disks.some(({ device }) => starved.has(device))) return false;
  await step("resume guest", () => domains.resume(vmId), 0);
  return true;
}

/** As by storage without space. */
export const isPausedByError = (vm: { readonly state: string; readonly stateReason?: string } | undefined) =>
  vm?.state === "paused" && vm.stateReason === "IOERROR";

/**
 * Before the disks of a VM that is off are switched, which libvirt refuses while it has checkpoints. The next backup is full: the
 * changes were in the files that are switched from.
 */
export async function dropCheckpoints(context: WorkContext, vmId: string): Promise<void> {
  const { whole, stale } = (await readSpec(context, vmId)).backups;
  const names = [...stale, ...(whole === undefined ? [] : [whole.id])];
  if (names.length === 0) return;
  await context.domains.backups.drop(vmId, names);
  await rewriteKept(context, vmId, (kept) => ({ ...kept, backups: { ...kept.backups, stale: [] } }));
}

/** Deletes the checkpoints that are no base any more, as far as the VM has a QEMU for that. */
export async function forgetStale(context: WorkContext, vmId: string): Promise<void> {
  const { stale } = (await readSpec(context, vmId)).backups;
  if (stale.length === 0) return;
  const left = await context.domains.backups.forget(vmId, stale);
  await rewriteKept(context, vmId, (kept) => ({
    ...kept,
    backups: { ...kept.backups, stale: kept.backups.stale.filter((id) => left.includes(id)) },
  }));
}
