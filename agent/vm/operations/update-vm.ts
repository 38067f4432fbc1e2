import { defined } from "../../kernel/defined.ts";
import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { emptyDevices, grownBytesOf } from "../model/memory-growth.ts";
import { checkPart, checkRules, requireMaximumPossible } from "../model/spec-check.ts";
import type { Vm } from "../model/vm.ts";
import type { VmDomain } from "../model/vm-domain.ts";
import { definitionEdits, type DefinedField } from "../observation/domain-document.ts";
import { isSeenForBackup, outdateQemu, runningGuest } from "./backup-qemu.ts";
import { defineOperation, type Result } from "./definition.ts";
import { stampComplete } from "./guest-run.ts";
import { requireSpecOf } from "./request.ts";
import { beginChange, changeIntent, readSpec, rewriteSpec, seenWith } from "./spec-change.ts";
import { undoAll } from "./undo.ts";
import * as fields from "./update-fields.ts";
import { requireNotSaved } from "./vm-state.ts";
import { isUndecided, mayHaveBegun, seen, type WorkContext, type WorkRun } from "./work.ts";

const GUEST = "change guest";
const DEFINITION = "change definition";
const SPEC = "write spec";

const intent: z.ZodType<{ readonly changes: fields.Changes; readonly etag?: string }> = z.object({
  changes: fields.changes,
  ...changeIntent,
});

interface UpdateRequest {
  /** The new values, unvalidated. */
  readonly spec: Readonly<Record<string, unknown>>;
  /** The names of the fields to change. */
  readonly updateMask: readonly string[];
  readonly etag?: string | undefined;
}

/** Changes fields of a VM's spec to the given values, of a running guest at once where that is possible. */
export const updateVm = defineOperation({
  kind: "UPDATE_VM",
  intent,
  lane: "command",
  mayLeaveHalf: true,
  endState: "unchanged",
  grows: ({ changes: { vcpus, memoryBytes } }, vmId) => ({
    volumes: [],
    diskBytes: 0,
    ...(vcpus === undefined && memoryBytes === undefined
      ? {}
      : { size: defined({ id: vmId, vcpus, memoryBytes }) }),
  }),
  /** Throws `conflict` CPU_MODEL_UNUSABLE: libvirt would refuse the model only at the next start. */
  async prepare(request: UpdateRequest, { accelerator = "kvm" }, { domains }) {
    const { cpuModel } = request.spec;
    if (typeof cpuModel !== "string" || !request.updateMask.includes("cpu_model")) return request;
    if (!(await domains.cpuModels(accelerator)).includes(cpuModel)) throw unusable(cpuModel, accelerator);
    return request;
  },
  /** Throws `invalid` UPDATE_MASK_INVALID and SPEC_INVALID, `conflict` ETAG_MISMATCH, VM_HAS_SAVED_STATE and DEDICATED_CPUS_FIXED. */
  admit({ spec, updateMask, etag }: UpdateRequest, vm, { policy }) {
    requireSpecOf(etag, vm);
    if (updateMask.length === 0) throw badMask("names no field");
    const values = updateMask.map((name) => {
      const field = fields.fieldNamed(name);
      if (field === undefined) throw badMask(`names ${name}`);
      return [field, spec[field] ?? (isOptional(field) ? null : undefined)];
    });
    const changed = checkPart(fields.changes, Object.fromEntries(values), "spec");
    if (fields.definedIn(changed).length > 0) requireNotSaved(vm);
    if (vm.spec !== undefined) {
      requireNotDedicated(vm.spec, changed);
      const asked = checkRules(fields.withChanges(vm.spec, changed));
      if (changed.maxMemoryBytes !== undefined) requireMaximumPossible(asked, policy);
    }
    return defined({ changes: changed, etag });
  },
  async plan({ domains }, { changes: changed }, vm) {
    const running = isSeenForBackup(vm) ? undefined : await domains.sizes.running(vm.id);
    return { changes: namesIn(changed), ...when(running, vm.spec, changed) };
  },
  async run(context, { changes: changed, etag }, run) {
    const { domains } = context;
    const { vmId, step } = run;
    const parts = fields.definedIn(changed);
    let mayBeChanged = mayHaveBegun(run, GUEST) || mayHaveBegun(run, DEFINITION);
    try {
      if (mayHaveBegun(run, SPEC)) step.goOn();
      const { spec: before } = await beginChange(context, run, {
        etag,
        of: parts.length > 0 ? "devices" : "metadata",
        hasBegun: mayBeChanged,
      });
      // An operation before this one may have changed other fields.
      const asked = checkRules(fields.withChanges(before, changed));
      const running = parts.length > 0 ? await runningGuest(context, vmId) : undefined;
      if (parts.length > 0) {
        mayBeChanged = true;
        await outdateQemu(context, vmId);
        if (running !== undefined) await step(GUEST, () => resize(context, run, running, asked, parts), 0.5);
        await step(DEFINITION, () => redefine(context, vmId, asked, parts), 0.2);
      }
      step.commit();
      const spec = await step(SPEC, () =>
        rewriteSpec(context, vmId, (stored) => fields.withChanges(stored, changed)),
      );
      mayBeChanged = false;
      await stampComplete(context, run, isActive(await domains.state(vmId)));
      await seenWith(context, spec);
      return { changed: namesIn(changed), ...when(running, asked, changed) };
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      const undo = { step: DEFINITION, remove: () => asInSpec(context, run, parts) };
      throw await undoAll(context, run, mayBeChanged ? [undo] : [], error);
    }
  },
});

/** First what the guest has to agree to. Of the memory first what becomes less, so that the balloon takes what stays. */
async function resize(
  context: WorkContext,
  run: WorkRun,
  running: VmDomain,
  spec: VmSpec,
  parts: readonly DefinedField[],
): Promise<void> {
  const { sizes } = context.domains;
  const { uuid } = running;
  const { vcpus, balloonBytes, grownBytes } = fields.liveSizeOf(running, spec, parts);
  const shrinks = grownBytes !== undefined && grownBytes < grownBytesOf(running);
  if (shrinks) await sizes.setGrown(uuid, grownBytes);
  if (balloonBytes !== undefined) await sizes.setMemory(uuid, balloonBytes);
  if (grownBytes !== undefined && !shrinks) {
    // QEMU does not fill a device again that the guest was asked to release.
    if (grownBytes > grownBytesOf(running)) await removeEmpty(context, run);
    await sizes.setGrown(uuid, grownBytes);
  }
  if (vcpus !== undefined) await sizes.setVcpus(uuid, vcpus);
  if (grownBytes !== undefined) await removeEmpty(context, run);
}

/** Takes the memory devices that the guest has given back. One that the guest keeps stays in libvirt's total, which counts. */
async function removeEmpty({ domains, log }: WorkContext, { vmId, resumed }: WorkRun): Promise<void> {
  const running = await domains.sizes.running(vmId);
  const release = (alias: string): Promise<void> =>
    domains.devices.release(vmId, alias, resumed).catch((thrown: unknown) => {
      const error = toSocleError(thrown);
      if (error.reason !== "GUEST_KEEPS_DEVICE") throw thrown;
      log.warn(
        { vm: vmId, err: error },
        "the guest keeps an empty memory device, which counts until its next start",
      );
    });
  const empty = running === undefined ? [] : emptyDevices(running);
  await Promise.all(empty.map(({ alias = "" }) => release(alias)));
}

async function redefine(
  { domains, ...place }: WorkContext,
  vmId: string,
  spec: VmSpec,
  parts: readonly DefinedField[],
): Promise<void> {
  const document = await domains.document(vmId);
  if (document !== undefined) await domains.redefine(vmId, definitionEdits(document, spec, parts, place));
}

/** The spec is written last: until then it has the values from before. */
async function asInSpec(context: WorkContext, run: WorkRun, parts: readonly DefinedField[]): Promise<void> {
  const { domains, table } = context;
  const { vmId } = run;
  if ((await domains.state(vmId)) === undefined) return;
  const { spec } = await readSpec(context, vmId);
  await redefine(context, vmId, spec, parts);
  const running = await runningGuest(context, vmId);
  if (running === undefined) return;
  const { vcpus, balloonBytes, grownBytes } = fields.liveSizeOf(running, spec, parts);
  // A guest that keeps its memory, or takes none, would not follow: it has its targets again.
  if (balloonBytes !== undefined) await domains.sizes.askForMemory(vmId, balloonBytes);
  try {
    if (grownBytes !== undefined) {
      await domains.sizes.askToGrow(vmId, grownBytes);
      await removeEmpty(context, run);
    }
  } finally {
    if (vcpus !== undefined) await domains.sizes.setVcpus(vmId, vcpus);
  }
  if (grownBytes === undefined) return;
  // The claim of a growth ends with the operation: from here on the table has what the guest keeps of it.
  const { memoryBytes = 0 } = (await domains.sizes.running(vmId)) ?? {};
  const counts = (vm: Vm | undefined): boolean => vm === undefined || vm.memoryBytes >= memoryBytes;
  await seen(context, vmId, counts);
  if (!counts(table.get(vmId))) throw notCounted();
}

/** When the changes have their effect, and which of them wait for the VM's next start. */
function when(running: VmDomain | undefined, spec: VmSpec | undefined, changed: fields.Changes): Result {
  const parts = fields.definedIn(changed);
  const later =
    spec === undefined ? parts : fields.waiting(running, fields.withChanges(spec, changed), parts);
  return later.length === 0
    ? { applies: "now" }
    : { applies: "at the next start", at_next_start: fields.namesOf(later) };
}

const notCounted = (): SocleError =>
  new SocleError(
    "outcome_unknown",
    "EFFECT_UNDER_WAY",
    "libvirt has not shown the guest's memory since the change was undone; what was claimed for it still counts",
  );

const namesIn = (changed: fields.Changes): string => fields.namesOf(Object.keys(changed));

const isOptional = (field: keyof typeof fields.changes.shape): boolean =>
  fields.changes.shape[field].safeParse(null).success;

function requireNotDedicated({ name, vcpus, placement }: VmSpec, changed: fields.Changes): void {
  if (placement?.dedicatedCpus !== true || (changed.vcpus ?? vcpus) === vcpus) return;
  const message = `VM ${name} has ${vcpus} dedicated CPUs, which are chosen at its creation: keep that number, or make a new VM with its disks`;
  throw new SocleError("conflict", "DEDICATED_CPUS_FIXED", message, {
    details: { fields: { "spec.vcpus": message } },
  });
}

function unusable(model: string, accelerator: string): SocleError {
  const message = `this host cannot give a guest the CPU model ${model} under ${accelerator}; choose one that libvirt lists as usable (virsh domcapabilities)`;
  return new SocleError("conflict", "CPU_MODEL_UNUSABLE", message, {
    details: { fields: { "spec.cpuModel": message } },
  });
}

function badMask(problem: string): SocleError {
  const message = `update_mask ${problem}; the fields that can be changed are ${fields.updatable.join(", ")}`;
  return new SocleError("invalid", "UPDATE_MASK_INVALID", message, {
    details: { fields: { update_mask: message } },
  });
}
