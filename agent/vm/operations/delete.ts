import * as z from "../../kernel/zod.ts";
import { isSocleError, SocleError, toSocleError } from "../../kernel/errors.ts";
import type { Immutable } from "../../kernel/immutable.ts";
import { isActive } from "../hypervisor/domains.ts";
import { removeSocket } from "./backup-end.ts";
import { eraseDisks, erasureOf, erasureSchema, receiptOf, volumeSchema } from "./erasure.ts";
import { hasMarkedRun, holdsRun, isInRun } from "./guest-run.ts";
import { requireBackingAsMade, requireDisksAsMade } from "./replaced-disks.ts";
import type { VolumeRef } from "../../contract/spec.ts";
import { isSameVm, requireSameVm } from "../hypervisor/stamps.ts";
import { requireUnused, usersNow, volumeKey } from "../storage/volume-users.ts";
import type { Vm } from "../model/vm.ts";
import { isSameBesideState } from "../observation/vm-from-domain.ts";
import { requireEtag } from "./request.ts";
import { deleteMemory } from "./snapshot-memory.ts";
import { defineOperation } from "./definition.ts";
import { because } from "./undo.ts";
import { ownVolumes, type DeviceSpec } from "../model/volume-names.ts";
import { ownFacts } from "../model/own-facts.ts";
import { memoryFile, memoryFilesOf } from "../model/snapshots.ts";
import { keyedParts, TPM_PART } from "../model/sealed-keys.ts";
import { requireDisksGo } from "../model/tenant-policy.ts";
import { KEEP_DISKS, requireReadable } from "../model/unreadable.ts";
import { removeScreen } from "../hypervisor/screens.ts";
import { keptAndErased, keptWithoutKey, requireNothingBeside } from "./delete-refusals.ts";
import { requireNotRescued } from "./vm-state.ts";
import { interrupted, seen, type WorkContext, type WorkRun } from "./work.ts";
import { defined } from "../../kernel/defined.ts";

type Seen = Awaited<ReturnType<WorkContext["domains"]["state"]>>;

const schema = z.object({
  /** Absent in operations of version 0.1.0. */
  name: z.string().exactOptional(),
  volumes: z.array(volumeSchema),
  force: z.boolean(),
  /** Its disks are deleted, so they must be `volumes` still. Absent in operations of earlier agents, and if they are kept. */
  deletesDisks: z.literal(true).exactOptional(),
  /** The parts of the VM that are encrypted. Absent: none. */
  keyedParts: z.array(z.string()).exactOptional(),
  /** Its spec could not be read: which of its parts are encrypted is unknown. */
  keysUnknown: z.literal(true).exactOptional(),
  /** The volumes are made unreadable before deletion. */
  erase: erasureSchema.exactOptional(),
  /** The memory of its snapshots, which nothing names once the domain is gone. Absent: none. */
  memory: z.array(memoryFile).exactOptional(),
  /** The VM as the caller read it. */
  etag: z.string().exactOptional(),
});
export type DeleteIntent = Immutable<z.output<typeof schema>>;
const intent: z.ZodType<DeleteIntent> = schema;

interface DeleteRequest {
  readonly keepDisks: boolean;
  readonly eraseDisks?: boolean;
  readonly force: boolean;
  readonly etag?: string | undefined;
}

/**
 * Powers the VM off, deletes its own volumes, and last the domain: after any failure the VM still exists and can be
 * deleted again, and nothing is left without an owner. Each step succeeds if its object is gone already.
 */
export const deleteVm = defineOperation({
  kind: "DELETE_VM",
  acceptsRescued: true,
  intent,
  lane: ({ erase }) => (erase?.disks.some(({ encrypted }) => !encrypted) === true ? "erasure" : "heavy"),
  acceptsUnreadable: true,
  acceptsUnrestored: true,
  mayLeaveHalf: true,
  checksInstance: "in its first run",
  nameIn: ({ name }) => name,
  removes: ({ volumes }) => volumes,
  /**
   * Throws `conflict` VM_RUNNING without `force`, ETAG_MISMATCH if the VM changed since it was read, VOLUME_IN_USE if
   * other VMs use its disks, SPEC_UNREADABLE, and `invalid` for disks that can be neither kept nor erased.
   */
  admit(
    { etag, force, keepDisks, eraseDisks = false }: DeleteRequest,
    vm,
    { byTenant, policy, table, creations },
  ) {
    if (keepDisks && eraseDisks) throw keptAndErased();
    requireEtag(etag, vm);
    requireDeletable(vm.name, vm, force);
    if (keepDisks && byTenant) requireDisksGo(vm.tenant, policy.permissionsOf(vm.tenant));
    const { spec } = vm;
    if (spec === undefined && !keepDisks) requireReadable(vm, KEEP_DISKS);
    if (keepDisks) requireNothingBeside(vm.name, vm);
    const parts = spec === undefined ? [] : keyedParts(spec);
    if (keepDisks && parts.some((part) => part !== TPM_PART)) throw keptWithoutKey(vm.name);
    if (eraseDisks) requireNotRescued(vm);
    const owned = spec && { ...spec, snapshots: vm.snapshots, rescue: vm.rescue, seed: vm.seed };
    const volumes = keepDisks || owned === undefined ? [] : ownVolumes(owned);
    // The run looks for overlays that no spec names.
    requireUnused(vm.id, volumes, { vms: table.all(), creations: creations() }, { paths: [], overlays: [] });
    const memory = memoryFilesOf(vm.snapshots);
    return defined({
      name: vm.name,
      volumes,
      memory: memory.length === 0 ? undefined : memory,
      deletesDisks: keepDisks ? undefined : true,
      force,
      keyedParts: parts.length === 0 ? undefined : parts,
      keysUnknown: spec === undefined ? true : undefined,
      erase: eraseDisks && owned !== undefined ? erasureOf(owned, vm.savedState) : undefined,
      etag,
    });
  },
  async run(context, intent, run) {
    const { domains, table, volumes } = context;
    const { vmId, step, resumed, standing } = run;
    // The domain goes last. If it is gone, so are its disks, unless another client removed it.
    const isGone = resumed && standing === undefined;
    if (isGone || hasBegun(run)) step.goOn();
    // Without a domain a file that cannot be deleted now must not keep the rest.
    const removeWithout = () => deleteMemory(context, run, intent.memory).then(() => undefined, toSocleError);
    let memoryLeft = isGone ? await removeWithout() : undefined;
    if (isGone) await requireDisksGone(context, intent, run);
    const before = isGone ? undefined : await deletable(context, intent, run);
    requireUnchanged(intent.etag, table.get(vmId), hasBegun(run));
    if (!isGone && !hasBegun(run)) {
      if (intent.deletesDisks === true) await requireSameDisks(context, vmId, intent);
      // From libvirt: the table may be older than the operation before this one.
      else if (intent.volumes.length === 0)
        requireNothingBeside(intent.name ?? vmId, ownFacts(await domains.stamps.facts(vmId), vmId));
    }
    const unsearched =
      intent.volumes.length > 0 && !isGone
        ? await step("look for users", () => requireOwn(context, vmId, intent, context.creations))
        : [];
    const guestRun = isActive(before) ? await holdsRun(context, run, AGAIN) : undefined;
    if (isActive(before) && guestRun === undefined && resumed)
      throw interrupted(`the VM has been started since; ${AGAIN}`);
    // The following effects cannot be undone.
    step.commit();
    // In parallel with the steps before the domain goes. All earlier operations of the VM have ended.
    const raised = context.watermark?.raise().then(() => undefined, toSocleError);
    // Without a run to mark, the guest has stopped by itself.
    if (guestRun !== undefined) {
      const isOver = async (): Promise<boolean> => !(await isInRun(context, run, guestRun));
      await step("pull plug", () => domains.destroy(vmId, { isOver }), 0.3);
    }
    const hasDomain = !isGone && (await begin(context, intent, run, guestRun !== undefined));
    // First: a directory that cannot be used must not leave a VM without disks.
    if (hasDomain) {
      const { snapshots } = ownFacts(await domains.stamps.facts(vmId), vmId);
      await deleteMemory(context, run, memoryFilesOf(snapshots)).catch((thrown: unknown) => {
        throw because(toSocleError(thrown), "then delete the VM again");
      });
    } else if (!isGone) memoryLeft = await removeWithout();
    // A guest that runs on an overwritten disk is harmed; on a deleted one it does not start.
    const requireOff = async (): Promise<void> => {
      if (hasDomain) await keepOff(context, intent, run);
    };
    // A snapshot may have been made since the first check.
    if (intent.erase !== undefined && hasDomain) await requireDisksAsMade(context, vmId, intent.erase);
    const erased =
      intent.erase === undefined
        ? undefined
        : await eraseDisks(context, intent.erase, run, { isGone, requireOff });
    if (erased !== undefined) await requireOff();
    let deletedVolumes = 0;
    for (const volume of intent.volumes) {
      const name = deleteStep(volume);
      const isDeleted = isGone ? false : await step(name, () => volumes.remove(volume), 0.1);
      if (isDeleted || run.done.has(name)) deletedVolumes += 1;
    }
    const unraised = await raised;
    if (unraised !== undefined) throw stillThere(unraised);
    if (hasDomain) {
      // The steps above took time: another client may have started or replaced the domain.
      if (intent.force) await requireOwnDomain(context, run);
      else await deletable(context, intent, run, lostOf(deletedVolumes));
      await step("undefine", () => domains.undefine(vmId, () => isThere(context, run)), 0.3);
    }
    await removeRest(context, intent, run, isGone);
    await removeSocket(context, vmId);
    await seen(context, vmId, (vm) => vm === undefined);
    if (memoryLeft !== undefined) throw because(memoryLeft, "all else of the VM is deleted");
    const deleted = defined<Record<string, string>>({
      volumes_deleted: String(deletedVolumes),
      pools_not_searched: unsearched.length === 0 ? undefined : unsearched.join(","),
    });
    return intent.erase === undefined || erased === undefined
      ? deleted
      : { ...deleted, ...receiptOf(context, intent.erase, erased, run) };
  },
});

const deleteStep = ({ volume }: VolumeRef): string => `delete volume ${volume}`;

/** Throws `conflict` DISKS_NOT_DELETED, and `outcome_unknown` if libvirt does not report whether they exist. */
async function requireDisksGone(
  { volumes }: WorkContext,
  intent: DeleteIntent,
  { vmId, done }: WorkRun,
): Promise<void> {
  const left: string[] = [];
  try {
    for (const volume of intent.volumes)
      if (!done.has(deleteStep(volume)) && (await volumes.isThere(volume))) left.push(volumeKey(volume));
  } catch (thrown) {
    throw notAllGone(toSocleError(thrown));
  }
  if (left.length === 0) return;
  const message =
    `the domain of VM ${vmId} was removed during its deletion, and these of its disks still exist: ${left.join(", ")}. ` +
    "If their data is not needed, delete them (virsh vol-delete NAME --pool POOL)";
  throw new SocleError("conflict", "DISKS_NOT_DELETED", message);
}

/** Returns the VM's state. Throws `conflict` VM_REPLACED, and VM_RUNNING as `requireDeletable` does. */
async function deletable(
  context: WorkContext,
  { force }: DeleteIntent,
  run: WorkRun,
  lost?: string,
): Promise<Seen> {
  const [, now] = await Promise.all([requireOwnDomain(context, run), context.domains.state(run.vmId)]);
  requireDeletable(run.vmId, now, force, lost);
  return now;
}

/** Throws `conflict` VM_REPLACED. */
async function requireOwnDomain({ domains }: WorkContext, run: WorkRun): Promise<void> {
  const origin = await domains.stamps.origin(run.vmId);
  if (origin !== undefined) requireSameVm(run, origin);
}

const lostOf = (volumes: number): string | undefined =>
  volumes === 0 ? undefined : `${volumes} of its disks are already deleted`;

/** Whether the VM's own domain exists; another VM may have its id. */
async function isThere({ domains }: WorkContext, run: WorkRun): Promise<boolean> {
  const origin = await domains.stamps.origin(run.vmId);
  return origin !== undefined && isSameVm(run, origin);
}

/**
 * Stamps the domain of a VM with own disks as being deleted. Returns false for a transient domain, which ended with the
 * run that this deletion destroyed (`hasEndedRun`). Throws `not_found` LIBVIRT_NO_DOMAIN if another client undefined
 * the domain and may want its disks, and `conflict` VM_RUNNING as `requireDeletable`.
 */
async function begin(
  { domains }: WorkContext,
  { volumes, force }: DeleteIntent,
  { vmId, operationId, step, resumed }: WorkRun,
  hasEndedRun: boolean,
): Promise<boolean> {
  if (volumes.length === 0) return true;
  step.requireOpen();
  try {
    await domains.stamps.begin(vmId, operationId);
  } catch (thrown) {
    if (!hasEndedRun || toSocleError(thrown).reason !== "LIBVIRT_NO_DOMAIN") throw thrown;
    return false;
  }
  // The VM may have been started since it was seen stopped.
  const now = await domains.state(vmId);
  requireDeletable(vmId, now, force);
  if (isActive(now) && resumed) throw interrupted(`the VM has been started since; ${AGAIN}`);
  if (isActive(now)) await step("pull plug", () => domains.destroy(vmId), 0.3);
  return true;
}

/** Destroys a run that another client started during the erasure. Throws `conflict` VM_RUNNING without force. */
async function keepOff(
  { domains }: WorkContext,
  { force }: DeleteIntent,
  { vmId, step }: WorkRun,
): Promise<void> {
  const now = await domains.state(vmId);
  requireDeletable(vmId, now, force, "its disks are already overwritten, at least in part");
  if (isActive(now)) await step("pull plug", () => domains.destroy(vmId), 0.3);
}

/**
 * Removes what outlives the domain. The VM is gone by now: an error or a cancellation does not fail the deletion, which
 * continues later. Throws `conflict` VM_RUNNING as `endLastRun` does, and `outcome_unknown` for all other errors.
 */
async function removeRest(
  context: WorkContext,
  intent: DeleteIntent,
  run: WorkRun,
  isGone: boolean,
): Promise<void> {
  const { keys, socketDirectory } = context;
  const { vmId, step } = run;
  try {
    for (const part of intent.keyedParts ?? [])
      await step(`forget key ${part}`, () => keys.forget(vmId, part));
    if (intent.keysUnknown === true) await step("forget keys", () => keys.forgetAll(vmId));
    if (!isGone) await endLastRun(context, intent, run).then(() => removeScreen(socketDirectory, vmId));
  } catch (thrown) {
    throw isSocleError(thrown) && thrown.reason !== "VM_RUNNING" ? notAllGone(thrown) : thrown;
  }
}

/** An undefined domain cannot be started any more; only force ends a run that started at the last moment. */
async function endLastRun(
  context: WorkContext,
  { volumes, force }: DeleteIntent,
  run: WorkRun,
): Promise<void> {
  const { domains } = context;
  const { vmId, step } = run;
  const last = await domains.state(vmId);
  if (last === undefined || !isActive(last) || !(await isThere(context, run))) return;
  if (!force) {
    const disks = volumes.length === 0 ? "keeps its disks" : "its disks are deleted";
    const message =
      `VM ${vmId} was started while it was deleted: it is ${last.state}, ${disks}, and it will be gone once it stops. ` +
      "Stop it to remove it; to keep it, define it again (virsh dumpxml, virsh define)";
    throw new SocleError("conflict", "VM_RUNNING", message);
  }
  await step("end run", () => domains.destroy(vmId), 0);
}

/** An operation admitted earlier may have attached or detached a disk since. Throws `conflict` VM_CHANGED. */
async function requireSameDisks(
  { domains }: WorkContext,
  vmId: string,
  { volumes }: DeleteIntent,
): Promise<void> {
  const { spec, snapshots, rescue, seed } = ownFacts(await domains.stamps.facts(vmId), vmId);
  if (spec === undefined) return;
  const names = (all: readonly VolumeRef[]): string => all.map(volumeKey).sort().join(" ");
  if (names(ownVolumes({ ...spec, snapshots, rescue, seed })) === names(volumes)) return;
  const message = `the disks of VM ${spec.name} were changed by another operation since its deletion was requested, and nothing was deleted; look at the VM, then delete it again`;
  throw new SocleError("conflict", "VM_CHANGED", message);
}

const AGAIN = "delete the VM again to remove it";

/** An earlier run of this work may have changed the VM. */
const hasBegun = (run: WorkRun): boolean =>
  hasMarkedRun(run) || run.standing?.config?.operation === run.operationId;

/** The VM may have changed since admission. A deletion that has begun has changed the VM's state itself, nothing else. */
function requireUnchanged(wanted: string | undefined, vm: Vm | undefined, hasBegun: boolean): void {
  if (hasBegun && wanted !== undefined && vm !== undefined && isSameBesideState(wanted, vm.etag)) return;
  requireEtag(wanted, vm);
}

/**
 * Rejects volumes that other VMs use, as far as libvirt knows. Returns the pools that were not searched. Throws
 * `conflict` VOLUME_IN_USE, and as `requireDisksAsMade` does.
 */
async function requireOwn(
  context: WorkContext,
  vmId: string,
  { volumes: own, erase }: DeleteIntent,
  creations: () => Iterable<DeviceSpec>,
): Promise<readonly string[]> {
  if (erase !== undefined) await requireDisksAsMade(context, vmId, erase);
  const dependents = await context.volumes.dependents(own);
  if (erase !== undefined) await requireBackingAsMade(context, vmId, erase, dependents.backings);
  const where = [...own.map(volumeKey), ...dependents.paths];
  requireUnused(vmId, own, await usersNow(context, creations, where), dependents);
  const { unsearched = [] } = dependents;
  if (unsearched.length > 0)
    context.log.warn(
      { vm: vmId, pools: unsearched },
      "pools were not searched for overlays of deleted disks",
    );
  return unsearched;
}

/** Throws `conflict` VM_RUNNING for a running guest, unless `force`. `lost`: the effects of the deletion so far. */
function requireDeletable(vm: string, seen: Seen, force: boolean, lost?: string): void {
  if (!isActive(seen) || force) return;
  const now = `VM ${vm} is ${seen?.state ?? "running"}`;
  const message =
    lost === undefined
      ? `${now}; stop it first, or delete it with force`
      : `${now}, since it was started while it was deleted, and ${lost}; stop it, then delete it again, or delete it with force`;
  throw new SocleError("conflict", "VM_RUNNING", message);
}

const stillThere = ({ reason, message }: SocleError): SocleError =>
  new SocleError(
    "outcome_unknown",
    reason,
    `the VM's domain is removed once the watermark of the state is recorded: ${message}`,
  );

const notAllGone = (error: SocleError): SocleError =>
  new SocleError(
    "outcome_unknown",
    error.reason,
    `the VM's domain is removed, the rest is not yet; the agent retries: ${error.message}`,
    { cause: error },
  );
