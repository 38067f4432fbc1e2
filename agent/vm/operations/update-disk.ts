import { defined } from "../../kernel/defined.ts";
import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { diskLimits, type DiskLimits } from "../../contract/spec-disk-limits.ts";
import type { DiskSpec, VmSpec } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { diskAlias } from "../model/device-names.ts";
import { checkPart } from "../model/spec-check.ts";
import { ioTuneOf } from "../observation/domain-document.ts";
import { defineOperation } from "./definition.ts";
import { requireDisk } from "./detach-disk.ts";
import { stampComplete } from "./guest-run.ts";
import { requireSpecOf } from "./request.ts";
import { appliesTo, beginChange, changeIntent, readSpec, rewriteSpec, seenWith } from "./spec-change.ts";
import { undoAll } from "./undo.ts";
import { requireNotSaved } from "./vm-state.ts";
import { isUndecided, mayHaveBegun, type WorkContext } from "./work.ts";

const DEVICE = "change device";
const SPEC = "write spec";

const intent = z.object({
  disk: z.string(),
  /** Null: none. */
  limits: diskLimits.nullable(),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;

interface UpdateRequest {
  readonly disk: string;
  /** Unvalidated; without a limit: none. Undefined: unchanged. */
  readonly limits?: object | undefined;
  readonly etag?: string | undefined;
}

/** Changes the limits of a VM's disk to the given values, also of a running guest. A failure undoes what was done. */
export const updateDisk = defineOperation({
  kind: "UPDATE_DISK",
  intent,
  lane: "command",
  mayLeaveHalf: true,
  endState: "unchanged",
  /** Throws `not_found` DISK_NOT_FOUND, `invalid` UPDATE_EMPTY and SPEC_INVALID, `conflict` ETAG_MISMATCH. */
  admit({ disk, limits: asked, etag }: UpdateRequest, vm) {
    requireSpecOf(etag, vm);
    requireNotSaved(vm);
    const { name } = requireDisk(vm, disk);
    if (asked === undefined) throw nothingToChange(name);
    const limits =
      Object.keys(asked).length === 0
        ? null
        : checkPart(z.object({ limits: diskLimits }), { limits: asked }).limits;
    return defined<Intent>({ disk: name, limits, etag });
  },
  plan: (_context, intent, vm) => Promise.resolve(resultOf(intent, vm)),
  async run(context, intent, run) {
    const { disk, limits, etag } = intent;
    const { domains } = context;
    const { vmId, step, done } = run;
    let mayBeChanged = mayHaveBegun(run, DEVICE);
    try {
      // The spec has the new values, so that an undo would keep them.
      if (done.has(SPEC)) step.goOn();
      const before = await beginChange(context, run, { etag, of: "devices", hasBegun: mayBeChanged });
      // An operation before this one may have detached it.
      requireDisk({ name: before.name, spec: before }, disk);
      mayBeChanged = true;
      await step(DEVICE, () => limit(context, vmId, disk, limits), 0.6);
      const spec = await step(SPEC, () =>
        rewriteSpec(context, vmId, (stored) => withLimits(stored, disk, limits)),
      );
      const state = await domains.state(vmId);
      await stampComplete(context, run, isActive(state));
      await seenWith(context, spec);
      return resultOf(intent, state);
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      const undo = { step: DEVICE, remove: () => asInSpec(context, vmId, disk) };
      throw await undoAll(context, run, mayBeChanged ? [undo] : [], error);
    }
  },
});

const resultOf = ({ disk, limits }: Intent, vm: Parameters<typeof appliesTo>[0]) => ({
  disk,
  limits: limits === null ? "none" : "set",
  applies: appliesTo(vm),
});

async function limit(
  { domains }: WorkContext,
  vmId: string,
  disk: string,
  limits: DiskLimits | null,
): Promise<void> {
  await domains.devices.limitDisk(vmId, diskAlias(disk), limits === null ? {} : ioTuneOf(limits));
}

/** The spec is written last: until then it has the values from before. */
async function asInSpec(context: WorkContext, vmId: string, name: string): Promise<void> {
  if ((await context.domains.state(vmId)) === undefined) return;
  const disk = (await readSpec(context, vmId)).spec.disks.find((each) => each.name === name);
  if (disk === undefined) return;
  try {
    await limit(context, vmId, name, disk.limits ?? null);
  } catch (thrown) {
    // A disk that is not there was not changed.
    if (toSocleError(thrown).reason !== "DISK_NOT_ATTACHED") throw thrown;
  }
}

const withLimits = (spec: VmSpec, name: string, limits: DiskLimits | null): VmSpec => ({
  ...spec,
  disks: spec.disks.map((disk) => {
    if (disk.name !== name) return disk;
    const { limits: _, ...same } = disk;
    return defined<DiskSpec>({ ...same, limits: limits ?? undefined });
  }),
});

function nothingToChange(disk: string): SocleError {
  const message = `the request changes nothing of disk ${disk}; set limits. Whether it is read-only cannot change: detach it, and attach it again`;
  return new SocleError("invalid", "UPDATE_EMPTY", message, { details: { fields: { limits: message } } });
}
