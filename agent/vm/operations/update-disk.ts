import { defined } from "../../kernel/defined.ts";
import * as z from "../../kernel/zod.ts";
import { invalidField, SocleError } from "../../kernel/errors.ts";
import { diskLimits, type DiskLimits } from "../../contract/spec-disk-limits.ts";
import type { DiskSpec, VmSpec } from "../../contract/spec.ts";
import { diskAlias } from "../model/device-names.ts";
import { ioTuneOf } from "../model/io-tune.ts";
import { checkPart } from "../model/spec-check.ts";
import { defineOperation } from "./definition.ts";
import { requireDisk } from "./detach-disk.ts";
import { updateDevice } from "./device-update.ts";
import { requireSpecOf } from "./request.ts";
import { appliesTo, changeIntent } from "./spec-change.ts";
import { requireNotSaved } from "./vm-state.ts";
import type { WorkContext } from "./work.ts";

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
    const { name, source } = requireDisk(vm, disk);
    if (source.kind === "cdrom")
      throw invalidField("SPEC_INVALID", "limits", "must not be given for a CD-ROM drive");
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
    const state = await updateDevice(context, run, {
      etag,
      deviceOf: (vm) => requireDisk(vm, disk),
      change: () => limit(context, run.vmId, disk, limits),
      restore: (before) => limit(context, run.vmId, disk, before.limits ?? null),
      notAttached: "DISK_NOT_ATTACHED",
      write: (spec) => withLimits(spec, disk, limits),
    });
    return resultOf(intent, state);
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
