import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import type { Overlay } from "../hypervisor/switch-xml.ts";
import { inDoubt, usedBefore } from "../hypervisor/layer-refusals.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { keyedParts } from "../model/sealed-keys.ts";
import { looseMemoryOf, withLooseMemory, type MemoryFile, type Snapshots } from "../model/snapshots.ts";
import type { Vm } from "../model/vm.ts";
import { DumpDirectory } from "../storage/dump-directory.ts";
import { tenantOfCaller } from "../../trust/index.ts";
import { isInRun } from "./guest-run.ts";
import { readSpec, rewriteSnapshots } from "./spec-change.ts";
import { known, requireState } from "./vm-state.ts";
import { outcomeUnknown, type WorkContext, type WorkRun } from "./work.ts";

// The memory of a snapshot is a file in the host's directory for dumps. The metadata of the domain names it before it exists and
// until it is gone, as it does layers: no file is without an owner, and no directory is searched for what may be another host's.
// Messages name no path: a tenant reads them.

/** libvirt writes what the guest changes meanwhile again, and the state of its devices. */
const MARGIN_BYTES = 64 * 1024 * 1024;
export const memoryRoomOf = ({ bytes }: { readonly bytes: number }): number => 2 * bytes + MARGIN_BYTES;

/** libvirt, or QEMU, paused the guest itself, and failed to resume it. */
const LEFT_PAUSED: ReadonlySet<string> = new Set(["SNAPSHOT", "MIGRATION", "SAVE", "API_ERROR"]);
/** A pause that a client asked for, as the agent does to hold the guest. */
const HELD = "USER";
/** Durable before the agent pauses the guest: a pause that it did not ask for is a person's. */
const HELD_NOTE = "note that it is held";
/** A file that is shorter has no header of libvirt's. */
const LEAST_IMAGE_BYTES = 92;

const notConfigured = new DumpDirectory(undefined);
const directoryOf = ({ dumps = notConfigured }: WorkContext, { directory }: MemoryFile): DumpDirectory =>
  dumps.at(directory);

/** Throws `conflict` SNAPSHOT_MEMORY_NOT_CONFIGURED. */
export function requireMemoryDirectory(directory: string | undefined): string {
  if (directory !== undefined) return directory;
  const message =
    "this host keeps no memory of guests: its operator sets a directory for it (vm.dumpDirectory); leave memory out to keep the disks alone";
  throw new SocleError("conflict", "SNAPSHOT_MEMORY_NOT_CONFIGURED", message, {
    details: { fields: { memory: message } },
  });
}

/** Throws `denied` SNAPSHOT_MEMORY_NOT_ALLOWED. */
export function requireMayKeepMemory(
  tenant: string,
  { snapshotMemory }: { readonly snapshotMemory: boolean },
): void {
  if (snapshotMemory) return;
  const message = `tenant ${tenant} may not keep the memory of VMs on this host, since it fills its disk; ask its operator to allow it (tenants.byName.${tenant}.snapshotMemory, or tenants.default.snapshotMemory), or leave memory out`;
  throw new SocleError("denied", "SNAPSHOT_MEMORY_NOT_ALLOWED", message, {
    details: { metadata: { tenant } },
  });
}

export const NOT_RUNNING = "kept with its memory; leave memory out";

/** What to do instead, of a creation and of a revert. */
export const LEAVE_OUT = "leave memory out";
export const DISCARD = "revert to the disks alone (discard_memory, --discard-memory)";

/** `instead`: the way out. Throws `conflict` SNAPSHOT_MEMORY_NOT_ENCRYPTED and VM_HAS_HOST_DEVICES. */
export function requireKeepable(
  { name, spec, devices = [] }: Pick<Vm, "name" | "spec" | "devices">,
  instead: string,
): void {
  if (spec !== undefined && (keyedParts(spec).length > 0 || spec.launchSecurity !== undefined)) {
    const what = spec.launchSecurity === undefined ? "encrypted disks or a TPM" : "encrypted memory";
    const message = `VM ${name} has ${what}, and its memory would be on the host's disk in clear: ${instead}`;
    throw new SocleError("conflict", "SNAPSHOT_MEMORY_NOT_ENCRYPTED", message, {
      details: { fields: { memory: message } },
    });
  }
  if (devices.length === 0) return;
  const message = `VM ${name} has devices of the host, whose state cannot be kept: ${instead}`;
  throw new SocleError("conflict", "VM_HAS_HOST_DEVICES", message, {
    details: { fields: { memory: message } },
  });
}

/** As the VM is now: an operation that was admitted later may have run before. Throws as `requireKeepable`. */
export async function requireKeepableNow(context: WorkContext, spec: VmSpec, instead: string): Promise<void> {
  const { id } = spec;
  const { placement } = await readSpec(context, id);
  const documents = [await context.domains.document(id), await context.domains.document(id, "running")];
  const ofHost = documents.flatMap((document) => [
    ...(document?.devices.hostDevices ?? []),
    ...(document?.devices.interfaces ?? []).filter(({ source }) => source.type === "hostdev"),
  ]);
  const devices = [...placement.devices, ...ofHost.map(({ alias = "" }) => alias)];
  requireKeepable({ name: spec.name, spec, devices }, instead);
}

/** Throws `exhausted` SNAPSHOT_MEMORY_NO_SPACE, `unavailable` SNAPSHOT_MEMORY_UNREACHABLE. */
export async function requireMemoryRoom(
  context: WorkContext,
  memory: MemoryFile & { readonly bytes: number },
): Promise<void> {
  await told(context, memory, (directory) => directory.requireRoom(memoryRoomOf(memory)));
}

/** For a write that libvirt may have begun already. */
export const holdRoom = (context: WorkContext, memory: MemoryFile & { readonly bytes: number }): void =>
  directoryOf(context, memory).hold(memory.file, memoryRoomOf(memory));

interface Taken {
  /** `bytes`: of the guest. */
  readonly memory: MemoryFile & { readonly bytes: number };
  readonly overlays: readonly Overlay[];
  readonly report: Parameters<WorkContext["domains"]["memorySnapshots"]["take"]>[1]["report"];
  readonly aborted: AbortSignal;
}

/** `bytes` undefined: the guest writes to the overlays, and its memory is lost. `refused`: for certain it does not. */
type Outcome = { readonly bytes: number | undefined } | { readonly refused: SocleError };

/**
 * Switches a running guest's disks, with its memory of the same moment. `isAsked`: libvirt may have been asked before; it is not
 * asked again, since memory and disks would be of two moments. Throws `conflict` SWITCH_IN_DOUBT, and `outcome_unknown`.
 */
export async function takeMemory(
  context: WorkContext,
  run: WorkRun,
  taken: Taken,
  isAsked: boolean,
): Promise<Outcome> {
  const { domains } = context;
  const { vmId, caller } = run;
  const { memory, overlays, report, aborted } = taken;
  const directory = directoryOf(context, memory);
  const memoryBytes = memory.bytes;
  const bytes = memoryRoomOf(memory);
  let failure: SocleError | undefined;
  let mayBeHeld = run.done.has(HELD_NOTE);
  let release = (): void => undefined;
  if (isAsked) holdRoom(context, memory);
  else
    try {
      release = domains.memoryDumps.hold(tenantOfCaller(caller));
      await told(context, memory, () => directory.claim(memory.file, bytes));
      // One that a person has paused meanwhile stays paused.
      requireState((await known(context, vmId)).state, ["running"], NOT_RUNNING);
    } catch (thrown) {
      release();
      directory.release(memory.file);
      return { refused: toSocleError(thrown) };
    }
  try {
    if (!isAsked) {
      const path = directory.partOf(memory.file);
      const isSwitched = (): Promise<boolean> => domains.layers.isSwitched(vmId, overlays);
      const held = async (): Promise<void> => {
        if (mayBeHeld) return;
        await run.step.durable(HELD_NOTE, () => Promise.resolve(), 0);
        mayBeHeld = true;
      };
      const asked = { overlays, path, memoryBytes, isSwitched, report, held, aborted };
      failure = await domains.memorySnapshots.take(vmId, asked).then(() => undefined, toSocleError);
      if (failure?.kind === "outcome_unknown") throw failure;
      if (failure !== undefined) context.log.warn({ vm: vmId, err: failure }, "no snapshot with memory");
    }
    const isLost = isAsked || failure?.reason === "EFFECT_NOT_OBSERVED";
    const settled = await settle(context, run, { memory, overlays, isLost, mayBeHeld });
    const outcome =
      settled === "not switched"
        ? { refused: failure === undefined ? notTaken() : pathless(failure, memory) }
        : { bytes: settled === "by libvirt" ? await keep(context, directory, memory) : undefined };
    directory.release(memory.file);
    return outcome;
  } catch (thrown) {
    const error = toSocleError(thrown);
    // Of any other error libvirt may still be writing: the next run claims the room again.
    if (error.reason !== "SWITCH_IN_DOUBT") throw outcomeUnknown(error);
    // No other run of the operation follows.
    await resumeLeft(context, run, mayBeHeld).catch((cause: unknown) => {
      throw outcomeUnknown(toSocleError(cause));
    });
    directory.release(memory.file);
    throw error;
  } finally {
    release();
  }
}

/**
 * Whether the guest writes to the overlays, or the definition of a guest that has ended names them: then it is so everywhere.
 * "now": libvirt may not have switched the guest, which may have run on after its memory was written.
 */
async function settle(
  context: WorkContext,
  run: WorkRun,
  {
    memory,
    overlays,
    isLost,
    mayBeHeld,
  }: Pick<Taken, "memory" | "overlays"> & { readonly isLost: boolean; readonly mayBeHeld: boolean },
): Promise<"by libvirt" | "now" | "not switched"> {
  const { domains } = context;
  const { layers } = domains;
  const { vmId } = run;
  const paths = overlays.map(({ path }) => path);
  if (await domains.memorySnapshots.isUnderWay(vmId)) throw stillWriting();
  const isRunning = isActive(await domains.state(vmId));
  const isSameRun = (): Promise<boolean> => isInRun(context, run, "marked");
  const isSwitched = (await layers.isSwitched(vmId, overlays)) || (await layers.isUnrecorded(vmId, overlays));
  if (!isSwitched && isRunning && isLost) {
    if (!(await isSameRun())) throw usedBefore(paths);
    const inQemu = await layers.filesInQemu(vmId);
    if (overlays.some(({ disk }) => inQemu.get(disk) === undefined)) throw inDoubt(paths, notTaken());
  }
  // Of a guest that has ended, a libvirt that was lost does not show whether it wrote to the overlays: then they are kept.
  const isTaken = isSwitched || (!isRunning && isLost);
  // The next run finds the disks switched, and must not take this memory for that of the same moment.
  if (isTaken && !isSwitched) await removeFiles(context, vmId, [memory]);
  if (isTaken) await layers.switchTo(vmId, overlays, { mayBe: isRunning, isSameRun });
  await resumeLeft(context, run, mayBeHeld);
  return isSwitched ? "by libvirt" : isTaken ? "now" : "not switched";
}

/**
 * The guest ran when libvirt was asked; another run of it is left as it is. `mayBeHeld`: the agent may have paused it since, which
 * libvirt may do late.
 */
async function resumeLeft(context: WorkContext, run: WorkRun, mayBeHeld: boolean): Promise<void> {
  const { domains } = context;
  const { vmId } = run;
  if (mayBeHeld) await domains.memorySnapshots.untilNotHeld(vmId);
  const now = await domains.state(vmId);
  if (now?.state !== "paused" || !(await isInRun(context, run, "marked"))) return;
  if (LEFT_PAUSED.has(now.stateReason) || (mayBeHeld && now.stateReason === HELD)) await domains.resume(vmId);
}

/** Makes the memory a whole file, durably; undefined if there is none for certain. Throws `outcome_unknown`. */
async function keep(
  context: WorkContext,
  directory: DumpDirectory,
  { file }: MemoryFile,
): Promise<number | undefined> {
  const { memorySnapshots } = context.domains;
  try {
    const whole = await directory.whole(file);
    if (whole !== undefined) return whole.sizeBytes;
    if (((await directory.partBytes(file)) ?? 0) < LEAST_IMAGE_BYTES) return undefined;
    if ((await memorySnapshots.savedXml(directory.partOf(file))) === undefined) return undefined;
    return (await directory.keep(file, "libvirt or QEMU")).sizeBytes;
  } catch (thrown) {
    context.log.warn(
      { path: directory.partOf(file), err: thrown },
      "a snapshot's memory cannot be looked at",
    );
    const message =
      "the guest's disks are switched, and it is not known whether its memory is whole, since its file cannot be read now: the operation goes on once it can";
    throw new SocleError("outcome_unknown", "SNAPSHOT_MEMORY_UNREACHABLE", message, { cause: thrown });
  }
}

export const noteMemory = (now: Snapshots, { directory, file }: MemoryFile): Snapshots =>
  withLooseMemory(now, [...looseMemoryOf(now).filter((each) => each.file !== file), { directory, file }]);

export const withoutNote = (now: Snapshots, memory: MemoryFile): Snapshots =>
  withLooseMemory(
    now,
    looseMemoryOf(now).filter(({ file }) => file !== memory.file),
  );

/** Deletes the noted files, then the notes. Throws `unavailable` SNAPSHOT_MEMORY_LEFT, and `outcome_unknown` while libvirt writes. */
export async function removeLooseMemory(context: WorkContext, vmId: string): Promise<Snapshots> {
  const { snapshots } = await readSpec(context, vmId);
  const loose = looseMemoryOf(snapshots);
  if (loose.length === 0) return snapshots;
  await removeFiles(context, vmId, loose);
  const isGone = ({ file }: MemoryFile): boolean => loose.some((each) => each.file === file);
  return await rewriteSnapshots(context, vmId, (now) =>
    withLooseMemory(
      now,
      looseMemoryOf(now).filter((each) => !isGone(each)),
    ),
  );
}

/** For the deletion of the VM. Throws as `removeLooseMemory`. */
export async function deleteMemory(
  context: WorkContext,
  { vmId, step, done }: WorkRun,
  files: readonly MemoryFile[] = [],
): Promise<void> {
  const name = "delete memory";
  if (files.length > 0 && !done.has(name)) await step(name, () => removeFiles(context, vmId, files), 0);
}

/** Throws as `removeLooseMemory`. */
export async function removeFiles(
  context: WorkContext,
  vmId: string,
  files: readonly MemoryFile[],
): Promise<void> {
  for (const memory of files) {
    if (await context.domains.memorySnapshots.isUnderWay(vmId)) throw stillWriting();
    const directory = directoryOf(context, memory);
    try {
      await directory.remove(memory.file);
      directory.release(memory.file);
    } catch (thrown) {
      context.log.warn({ path: directory.partOf(memory.file), err: thrown }, "memory could not be deleted");
      const message =
        "the memory of a snapshot could not be deleted, since its directory on the host cannot be used now: its operator makes it usable (the agent's log names it)";
      throw new SocleError("unavailable", "SNAPSHOT_MEMORY_LEFT", message, {
        cause: thrown,
        details: { retryAfterMs: 60_000 },
      });
    }
  }
}

/** The directory's refusals, without its path, which the log has. */
export async function told<T>(
  context: WorkContext,
  memory: MemoryFile,
  work: (directory: DumpDirectory) => Promise<T>,
): Promise<T> {
  try {
    return await work(directoryOf(context, memory));
  } catch (thrown) {
    const { kind, reason, message } = toSocleError(thrown);
    context.log.warn({ directory: memory.directory, err: message }, "the memory of a snapshot");
    if (reason === "DUMP_NO_SPACE")
      throw new SocleError(
        "exhausted",
        "SNAPSHOT_MEMORY_NO_SPACE",
        "the host's directory for memory has not the room that the VM's memory may take: delete old snapshots or dumps, or leave memory out",
      );
    if (kind === "outcome_unknown") throw thrown;
    throw unreachable();
  }
}

export const unreachable = (cause?: unknown): SocleError =>
  new SocleError(
    "unavailable",
    "SNAPSHOT_MEMORY_UNREACHABLE",
    "the host's directory for memory cannot be used now: its operator makes it usable (the agent's log says why)",
    { cause, details: { retryAfterMs: 60_000 } },
  );

/** As `told`, of libvirt's errors. */
export function pathless(thrown: unknown, { directory, file }: MemoryFile): SocleError {
  const error = toSocleError(thrown);
  if (!error.message.includes(directory)) return error;
  const message = error.message
    .replaceAll(`${directory}/${file}`, "the file of the memory")
    .replaceAll(directory, "the directory for memory");
  return new SocleError(error.kind, error.reason, message, { details: error.details });
}

const stillWriting = (): SocleError =>
  new SocleError("outcome_unknown", "EFFECT_UNDER_WAY", "libvirt is still writing the VM's memory");

const notTaken = (): SocleError =>
  new SocleError(
    "conflict",
    "SNAPSHOT_NOT_TAKEN",
    "libvirt was lost while it wrote the guest's memory, and took no snapshot; nothing was kept: create it again",
  );

export const withoutMemory = (name: string): SocleError =>
  new SocleError(
    "conflict",
    "SNAPSHOT_WITHOUT_MEMORY",
    `snapshot ${name} has the disks of its moment, and its memory was lost: keep it as one without memory, or delete it (socle vm snapshot rm) and create it again`,
  );

export const memoryCutShort = (cause: unknown): SocleError =>
  new SocleError(
    "conflict",
    "SNAPSHOT_CUT_SHORT",
    "a forced stop ended the VM before its memory was kept, and nothing was kept",
    { cause },
  );

export const quiescedWithMemory = (): SocleError => {
  const message = "memory of the same moment needs no frozen filesystems: leave quiesce or memory out";
  return new SocleError("invalid", "SPEC_INVALID", message, { details: { fields: { quiesce: message } } });
};
