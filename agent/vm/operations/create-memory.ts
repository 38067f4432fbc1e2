import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import type { Overlay } from "../hypervisor/switch-xml.ts";
import { looseMemoryOf, memoryName, noSnapshots } from "../model/snapshots.ts";
import { growthDevices } from "../model/memory-growth.ts";
import type { Vm } from "../model/vm.ts";
import type { OwnDisk } from "../model/volume-names.ts";
import { dropCheckpoints } from "./backup-end.ts";
import type { Admission } from "./definition.ts";
import { endOnForcedStop } from "./guest-run.ts";
import { requireAsNoted } from "./layers.ts";
import {
  memoryCutShort,
  noteMemory,
  quiescedWithMemory,
  removeFiles,
  holdRoom,
  removeLooseMemory,
  LEAVE_OUT,
  NOT_RUNNING,
  requireKeepable,
  requireKeepableNow,
  requireMayKeepMemory,
  requireMemoryDirectory,
  requireMemoryRoom,
  takeMemory,
} from "./snapshot-memory.ts";
import { readSpec, rewriteSnapshots } from "./spec-change.ts";
import type { Cut } from "./stop-escalation.ts";
import { known, requireState } from "./vm-state.ts";
import { mayHaveBegun, outcomeUnknown, type RunContext, type WorkContext, type WorkRun } from "./work.ts";

/** `bytes`: of the guest's memory. */
export const keptMemory = z.object({ directory: z.string(), file: z.string(), bytes: z.number() });
type KeptMemory = Readonly<z.output<typeof keptMemory>>;

/** The file of one may be twice as large as the VM's memory, and no quota counts it. */
const MOST_WITH_MEMORY = 4;

/** Throws what the admission of a snapshot with memory throws. */
export function memoryFor(
  { directory, quiesce }: { readonly directory?: string; readonly quiesce: boolean },
  vm: Vm,
  { id, byTenant, policy }: Pick<Admission, "byTenant" | "policy"> & { readonly id: string },
): KeptMemory {
  if (byTenant) requireMayKeepMemory(vm.tenant, policy.permissionsOf(vm.tenant));
  if (quiesce) throw quiescedWithMemory();
  requireKeepable(vm, LEAVE_OUT);
  if (vm.isGrown === true) throw hasGrown(vm.name);
  requirePlace(vm);
  requireState(vm.state, ["running"], NOT_RUNNING);
  return { directory: requireMemoryDirectory(directory), file: memoryName(vm.id, id), bytes: vm.memoryBytes };
}

/** Throws `exhausted` SNAPSHOT_LIMIT_REACHED. */
function requirePlace({ name, snapshots = noSnapshots }: Pick<Vm, "name" | "snapshots">, own?: string): void {
  const kept = snapshots.snapshots.filter(({ memory }) => memory !== undefined).length;
  const left = looseMemoryOf(snapshots).filter(({ file }) => file !== own).length;
  if (kept + left < MOST_WITH_MEMORY) return;
  const message =
    kept === 0
      ? `the memory of ${left} deleted snapshots of VM ${name} could not be removed yet, and a VM may have ${MOST_WITH_MEMORY}: the host's operator makes its directory usable; then delete or create another snapshot, or leave memory out`
      : `VM ${name} has ${MOST_WITH_MEMORY} snapshots with memory, or their files, as many as a VM may have: delete one first (socle vm snapshot rm), or leave memory out`;
  throw new SocleError("exhausted", "SNAPSHOT_LIMIT_REACHED", message, {
    details: { fields: { memory: message } },
  });
}

/** With the guest's memory of now, which may have grown since the admission. */
export async function sizedNow(
  { domains }: WorkContext,
  vmId: string,
  memory: KeptMemory,
): Promise<KeptMemory> {
  const bytes = (await domains.document(vmId, "running"))?.memoryBytes ?? 0;
  return { ...memory, bytes: Math.max(memory.bytes, bytes) };
}

/** As the VM is now: an operation admitted earlier may have changed it. Notes the file before it exists. */
export async function requireMemoryNow(context: RunContext, spec: VmSpec, memory: KeptMemory): Promise<void> {
  const { id: vmId, name } = spec;
  await requireKeepableNow(context, spec, LEAVE_OUT);
  const running = await context.domains.document(vmId, "running");
  if (running !== undefined && growthDevices(running.devices).length > 0) throw hasGrown(name);
  requirePlace({ name, snapshots: (await readSpec(context, vmId)).snapshots }, memory.file);
  requireState((await known(context, vmId)).state, ["running"], NOT_RUNNING);
  await requireMemoryRoom(context, memory);
  const { directory, file } = memory;
  await rewriteSnapshots(context, vmId, (now) => noteMemory(now, { directory, file }));
}

/** A revert starts the guest as it was defined, and no definition has what a running guest was given. */
function hasGrown(vm: string): SocleError {
  const message = `VM ${vm} was given memory while it runs, which no revert could restore: leave memory out, or stop and start the VM first, which gives it all of its memory from the beginning`;
  return new SocleError("conflict", "SNAPSHOT_MEMORY_GROWN", message, {
    details: { fields: { memory: message } },
  });
}

interface Switching {
  readonly memory: KeptMemory;
  readonly own: readonly OwnDisk[];
  readonly overlays: readonly Overlay[];
  readonly effects: Set<string>;
  /** The step in which libvirt is asked, and the note that it may have been. */
  readonly names: { readonly asked: string; readonly runs: string };
}

/**
 * In the next run of an operation that may have asked libvirt: waits until it writes no more, also while the guest's QEMU hangs. A
 * forced stop and a cancellation end the write; what came of it is then settled in any case.
 */
export async function untilWritten(
  context: RunContext,
  { vmId, step, signal }: WorkRun,
  memory: KeptMemory,
  cut: Cut,
): Promise<void> {
  endOnForcedStop(context, vmId, cut, "the snapshot of the memory");
  holdRoom(context, memory);
  const { bytes } = await sizedNow(context, vmId, memory).catch(() => memory);
  const watched = { memoryBytes: bytes, report: () => undefined, aborted: signal };
  await context.domains.memorySnapshots.untilEnded(vmId, watched).catch((thrown: unknown) => {
    throw outcomeUnknown(toSocleError(thrown));
  });
  step.goOn();
}

/** Returns the bytes of the memory; undefined: it is lost, and the disks are switched. Throws once they are not, for certain. */
export async function switchWithMemory(
  context: RunContext,
  run: WorkRun,
  { memory, own, overlays, effects, names }: Switching,
  cut: Cut,
): Promise<number | undefined> {
  const { domains } = context;
  const { vmId, step, signal } = run;
  const isAsked = mayHaveBegun(run, names.asked) || run.done.has(names.runs);
  if (!isAsked && cut.isWanted()) throw memoryCutShort(undefined);
  if (!isAsked) endOnForcedStop(context, vmId, cut, "the snapshot of the memory");
  const outcome = await step(
    names.asked,
    async (report) => {
      if (!isAsked) await requireAsNoted(context, vmId, own);
      else if (!isActive(await domains.state(vmId))) await dropCheckpoints(context, vmId);
      return await takeMemory(context, run, { memory, overlays, report, aborted: signal }, isAsked);
    },
    0.5,
  );
  if ("bytes" in outcome) {
    step.goOn();
    return outcome.bytes;
  }
  // No guest has written to the layers: they may be deleted, also by a later run.
  await step.undoDurably(names.runs, () => Promise.resolve());
  for (const name of [names.asked, names.runs]) effects.delete(name);
  if (cut.isWanted()) throw memoryCutShort(outcome.refused);
  throw signal.aborted ? toSocleError(signal.reason) : outcome.refused;
}

/** What is left is tried again with the next change of the VM's snapshots, and with its deletion. */
export async function forgetLooseMemory(
  context: WorkContext,
  vmId: string,
  memory?: KeptMemory,
): Promise<void> {
  const remove = async (): Promise<void> => {
    // Without the domain nothing names it.
    const isGone = (await context.domains.state(vmId)) === undefined;
    if (!isGone) await removeLooseMemory(context, vmId);
    else if (memory !== undefined) await removeFiles(context, vmId, [memory]);
  };
  await remove().catch((thrown: unknown) => {
    context.log.warn({ vm: vmId, err: toSocleError(thrown) }, "the memory of a snapshot is left");
  });
}
