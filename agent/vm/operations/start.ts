import * as z from "../../kernel/zod.ts";
import { LATE, within } from "../../kernel/concurrency/deadline.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { filesOf } from "../hypervisor/define-file.ts";
import { isActive } from "../hypervisor/domains.ts";
import { memoryTransfer } from "../hypervisor/saved-states.ts";
import { culpritOf, type Culprit } from "../hypervisor/start-fault.ts";
import { deviceName } from "../model/device-names.ts";
import { keyedParts } from "../model/sealed-keys.ts";
import type { VmSpec } from "../../contract/spec.ts";
import type { Snapshots } from "../model/snapshots.ts";
import { ownDisk, seedVolume } from "../model/volume-names.ts";
import { requireDisksFree } from "../storage/volume-users.ts";
import { defineOperation } from "./definition.ts";
import { endBackupQemu, isForBackup, keepQemu } from "./backup-qemu.ts";
import { stampComplete, stampRun } from "./guest-run.ts";
import { noteStart } from "./note-start.ts";
import { endRescueAfterStart } from "./rescue-note.ts";
import { endSeedsAfterStart } from "./seeds.ts";
import { addSparePorts } from "./spare-ports.ts";
import { resolveOwn } from "./own-volume.ts";
import { present, renewMetadata } from "./vm-state.ts";
import { interrupted, seen, type WorkContext } from "./work.ts";
import type { VmMetadata } from "../model/vm-domain.ts";

/** More than libvirt takes to report that a pool's storage does not answer. */
const LOOK_FOR_MS = 60_000;

export const startVm = defineOperation({
  kind: "START_VM",
  acceptsRescued: true,
  intent: z.object({ placementEpoch: z.number() }),
  lane: "heavy",
  endState: "running",
  startsUnder: (_intent, vm) => vm?.accelerator,
  admit: ({ placementEpoch }: { readonly placementEpoch: number }) => ({ placementEpoch }),
  async run(context, { placementEpoch }, run) {
    const { domains, table, volumes } = context;
    const { vmId, operationId, step, resumed } = run;
    // A VM that is shutting down is started once it is off.
    const before = present(vmId, await domains.restingState(vmId));
    // A resumed start was checked before, or has not begun: its possible effect is not refused afterwards.
    if (!resumed)
      await step("placement", () => checkPlacement(context, vmId, placementEpoch, isActive(before)));
    // The guest gets what the definition has now.
    const isEnded = await endBackupQemu(context, run, true);
    if (isActive(before) && !isEnded) {
      // An earlier run may have ended before it renewed the metadata.
      if (resumed) await continued(context, vmId);
      if (!(await isForBackup(context, vmId))) return { state: before.state, was: before.state };
      if (before.state === "paused") {
        await noteStart(context, vmId);
        await stampRun(context, run);
        await step("resume", () => domains.resume(vmId), 0.8);
      }
      await keepQemu(context, vmId);
      await stampComplete(context, run, true);
      await seen(context, vmId, (vm) => vm?.state === "running");
      return { state: "running", was: "stopped", from: "boot" };
    }
    if (resumed && !isEnded) {
      // Another agent, or an earlier run, may have sent a start to libvirt that has not taken effect yet.
      const after = await domains.settledState(vmId);
      if (isActive(after)) return { state: "running", was: before.state };
      throw interrupted("the VM is stopped; start it again if it should run");
    }
    const vm = table.get(vmId);
    if (vm !== undefined) await requireDisksFree(vm, table.all().filter(isActive), volumes.names);
    const spec = vm?.spec;
    if (spec !== undefined) await step("check volumes", () => checkVolumes(context, spec, vm?.snapshots));
    if (spec !== undefined && keyedParts(spec).length > 0)
      await step("keys", () => restoreKeys(context, spec));
    step.requireOpen();
    await domains.stamps.begin(vmId, operationId);
    await noteStart(context, vmId);
    // The new QEMU is not the one that a backup was given.
    if (vm?.backups?.open !== undefined) await keepQemu(context, vmId);
    await addSparePorts(context, run);
    const culprit = spec === undefined ? undefined : culpritOf(spec);
    await step("start", () => startOrContinue(context, vmId, culprit), 0.8);
    // Before the stamp, which ends a resumed run without another step.
    const from = await continued(context, vmId);
    await endRescueAfterStart(context, vmId);
    await endSeedsAfterStart(context, vmId);
    await stampComplete(context, run, true);
    await seen(context, vmId, isActive);
    return { state: "running", was: before.state, ...from };
  },
});

/** Throws what `Domains.start` throws, and `conflict` SAVED_STATE_UNUSABLE if QEMU does not load the saved state. */
async function startOrContinue(
  context: WorkContext,
  vmId: string,
  culprit: Culprit | undefined,
): Promise<void> {
  const { domains, table } = context;
  const { name = vmId, savedState, memoryBytes = 0 } = table.get(vmId) ?? {};
  // Another client may have saved it a moment ago.
  if (await domains.savedStates.exists(vmId)) await requireSavedFiles(context, vmId, name);
  try {
    await domains.start(vmId, culprit, savedState === true ? memoryTransfer(memoryBytes) : {});
  } catch (thrown) {
    const error = toSocleError(thrown);
    if (error.kind !== "internal" || !(await domains.savedStates.exists(vmId).catch(() => false)))
      throw thrown;
    throw unusable(name, error.message, thrown);
  }
}

/**
 * Throws `conflict` SAVED_STATE_UNUSABLE for the memory of a guest that wrote to another file than its definition names: another
 * client saved it while libvirt showed a wrong one.
 */
async function requireSavedFiles({ domains }: WorkContext, vmId: string, name: string): Promise<void> {
  const [saved, document] = [await domains.savedStates.files(vmId), await domains.document(vmId)];
  for (const [alias, path] of filesOf(document)) {
    const other = saved.get(alias);
    if (deviceName("disk", alias) === undefined || other === undefined || other === path) continue;
    throw unusable(name, `it was saved with ${other} in place of ${path}`);
  }
}

function unusable(name: string, why: string, cause?: unknown): SocleError {
  const message = `VM ${name} cannot continue from its saved state: ${why}. To boot it without that state, run: socle vm discard-saved-state ${name}`;
  return new SocleError("conflict", "SAVED_STATE_UNUSABLE", message, { cause });
}

/** What the guest was started from, as libvirt reports it; a restored guest gets the newest metadata. */
async function continued(context: WorkContext, vmId: string): Promise<{ from?: string }> {
  const now = await context.domains.state(vmId).catch(() => undefined);
  if (now?.stateReason === "BOOTED") return { from: "boot" };
  if (now === undefined || !RESTORED.has(now.stateReason)) return {};
  await renewMetadata(context, vmId, true);
  // Its image may be of a frozen guest; the timer ended with the run that was saved.
  context.domains.freezes.thawLeft({ id: vmId, tenant: context.table.get(vmId)?.tenant ?? "" });
  return { from: "saved state" };
}

/** A guest that was paused when it was saved is paused again. */
const RESTORED: ReadonlySet<string> = new Set(["RESTORED", "MIGRATION"]);

/**
 * Revalidates volumes before start: pool writers may have replaced a file. Throws as `Volumes.resolve`, and
 * `unavailable` STORAGE_UNRESPONSIVE if storage does not answer in time.
 */
export async function checkVolumes(
  { volumes, clock, table }: WorkContext,
  spec: VmSpec,
  snapshots?: Snapshots,
): Promise<void> {
  const { id, name, disks, kernelBoot } = spec;
  const look = async (): Promise<void> => {
    if (kernelBoot !== undefined) await volumes.resolve(kernelBoot.kernel);
    if (kernelBoot?.initrd !== undefined) await volumes.resolve(kernelBoot.initrd);
    for (const disk of disks) {
      const { source } = disk;
      if (source.kind !== "new") {
        if (source.volume !== undefined) await volumes.resolve(source.volume);
      } else await resolveOwn(volumes, ownDisk(id, disk, source, snapshots));
    }
    // Without it libvirt would not start the VM either.
    const seed = seedVolume({ ...spec, seed: table.get(id)?.seed });
    if (seed !== undefined) await volumes.resolve(seed);
  };
  const looked = await within(clock, LOOK_FOR_MS, look()).catch((thrown: unknown) => {
    const error = toSocleError(thrown);
    throw error.reason === "LIBVIRT_TIMEOUT" ? unseen(name, error.message, error) : error;
  });
  if (looked === LATE) throw unseen(name, `the storage did not answer within ${LOOK_FOR_MS / 1000} s`);
}

const unseen = (vm: string, why: string, cause?: SocleError): SocleError =>
  new SocleError(
    "unavailable",
    "STORAGE_UNRESPONSIVE",
    `the volumes of VM ${vm} could not be checked, so it is not started: ${why}; check their pools (virsh pool-list), then start it again`,
    { cause, details: { retryAfterMs: 5000 } },
  );

/**
 * Gives libvirt the passphrases of a VM's encrypted disks again: it keeps them only in memory. Throws what
 * `GuestKeys.restore` throws, and `conflict` KEYS_MISSING if the domain has lost one.
 */
export async function restoreKeys({ domains, keys }: WorkContext, spec: VmSpec): Promise<void> {
  const parts = keyedParts(spec);
  if (parts.length === 0) return;
  const sealed = (await domains.document(spec.id))?.metadata?.socle?.keys ?? {};
  const lost = parts.filter((part) => sealed[part] === undefined);
  if (lost.length > 0) throw keysMissing(lost);
  await keys.restore(spec.id, sealed);
}

export const keysMissing = (parts: readonly string[]): SocleError =>
  new SocleError(
    "conflict",
    "KEYS_MISSING",
    `the domain no longer holds the keys of ${parts.join(", ")}: they were erased, or its metadata was changed`,
  );

/** Rejects a start from an outdated placement; a newer epoch is recorded before it takes effect. */
async function checkPlacement(
  { domains, table }: WorkContext,
  vmId: string,
  epoch: number,
  isActive: boolean,
): Promise<void> {
  // Epochs only increase. The XML of a hung guest cannot be read, so nothing is read without a change.
  if (epoch === 0 || table.get(vmId)?.placementEpoch === epoch) return;
  const socle = (await domains.document(vmId))?.metadata?.socle;
  if (socle === undefined || socle.placementEpoch === epoch) return;
  if (epoch < socle.placementEpoch) {
    const message = `the VM has been placed again (epoch ${socle.placementEpoch}) since this request's epoch ${epoch}`;
    throw new SocleError("conflict", "PLACEMENT_EPOCH_STALE", message);
  }
  const metadata: VmMetadata = { ...socle, placementEpoch: epoch };
  await domains.setMetadata(vmId, metadata, isActive);
}
