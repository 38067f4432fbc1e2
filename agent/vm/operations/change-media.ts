import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { invalidField, SocleError, toSocleError } from "../../kernel/errors.ts";
import type { DiskSpec, VmSpec, VolumeRef } from "../../contract/spec.ts";
import { volumeRef } from "../../contract/spec-values.ts";
import { mediumOf } from "../images/image-disks.ts";
import { diskAlias } from "../model/device-names.ts";
import { checkPart } from "../model/spec-check.ts";
import type { Vm } from "../model/vm.ts";
import { volumeKey } from "../storage/volume-users.ts";
import { requireUsableNow } from "./attach-disk.ts";
import { defineOperation } from "./definition.ts";
import { requireDisk } from "./detach-disk.ts";
import { updateDevice } from "./device-update.ts";
import { volumeSchema } from "./erasure.ts";
import { requireSpecOf } from "./request.ts";
import { appliesTo, changeIntent, rewriteSpec } from "./spec-change.ts";
import { requireNotSaved } from "./vm-state.ts";
import type { RunContext } from "./work.ts";

const intent = z.object({
  disk: z.string(),
  /** Null: none. */
  medium: volumeSchema.nullable(),
  force: z.literal(true).exactOptional(),
  /** Restricts the caller to the VM's tenant. */
  tenantOnly: z.literal(true).exactOptional(),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;

interface ChangeMediaRequest {
  /** The drive. */
  readonly disk: string;
  /** Unvalidated. */
  readonly volume?: VolumeRef | undefined;
  /** Its name or id. */
  readonly image?: string | undefined;
  readonly force: boolean;
  readonly etag?: string | undefined;
}

/** Gives a CD-ROM drive of a VM another medium or none, also of a running guest. A failure undoes what was done. */
export const changeMedia = defineOperation({
  kind: "CHANGE_MEDIA",
  intent,
  lane: "command",
  mayLeaveHalf: true,
  endState: "unchanged",
  adds: ({ disk, medium }) => ({ disks: medium === null ? [] : [driveWith(disk, medium)] }),
  prepare({ image, ...rest }: ChangeMediaRequest, { tenant }, { images }) {
    const volume = image === undefined ? rest.volume : mediumOf(image, "image", tenant, images.store);
    return Promise.resolve({ ...rest, volume });
  },
  /** Throws `not_found` DISK_NOT_FOUND, `invalid` NOT_CDROM and SPEC_INVALID, `conflict` VM_HAS_SAVED_STATE and ETAG_MISMATCH. */
  admit({ disk, volume, force, etag }: ChangeMediaRequest, vm, { byTenant }) {
    requireSpecOf(etag, vm);
    requireNotSaved(vm);
    const { name } = requireDrive(vm, disk);
    return defined<Intent>({
      disk: name,
      medium: volume === undefined ? null : checkMedium(volume),
      force: force ? true : undefined,
      tenantOnly: byTenant ? true : undefined,
      etag,
    });
  },
  async plan(context, intent, vm) {
    await pathOf(context, vm, intent);
    return resultOf(intent, vm);
  },
  async run(context, intent, run) {
    const { disk, medium, force = false, etag } = intent;
    const { media } = context.domains;
    const { vmId } = run;
    const state = await updateDevice(context, run, {
      etag,
      deviceOf: (vm) => requireDrive(vm, disk),
      change: async (spec) => media.change(vmId, diskAlias(disk), await pathOf(context, spec, intent), force),
      restore: ({ source }) =>
        putBack(context, vmId, intent, source.kind === "cdrom" ? source.volume : undefined),
      notAttached: "DISK_NOT_ATTACHED",
      write: (spec) => withMedium(spec, disk, medium),
    });
    return resultOf(intent, state);
  },
});

/** A medium that is gone, or is another one now, is not put back: then the drive is empty, also in the spec. */
async function putBack(
  context: RunContext,
  vmId: string,
  { disk, medium, force }: Intent,
  before: VolumeRef | undefined,
): Promise<void> {
  const { volumes, domains, log } = context;
  const [alias, isForced] = [diskAlias(disk), force === true];
  try {
    const path = before && (await volumes.resolve(before)).path;
    await domains.media.change(vmId, alias, path, isForced);
    return;
  } catch (thrown) {
    const error = toSocleError(thrown);
    if (before === undefined || !UNUSABLE.has(error.kind) || error.reason.startsWith("LIBVIRT_"))
      throw thrown;
    log.warn({ vm: vmId, disk, err: error }, "the medium before a failed change cannot be put back");
  }
  // The drive may still have it.
  const asked = medium === null ? undefined : await volumes.pathOf(medium);
  if (!(await domains.media.has(vmId, alias, asked))) return;
  await domains.media.change(vmId, alias, undefined, isForced);
  await rewriteSpec(context, vmId, (spec) => withMedium(spec, disk, null));
}

const UNUSABLE: ReadonlySet<string> = new Set(["not_found", "denied", "invalid"]);

const resultOf = ({ disk, medium }: Intent, vm: Parameters<typeof appliesTo>[0]) => ({
  disk,
  medium: medium === null ? "none" : volumeKey(medium),
  applies: appliesTo(vm),
});

/** The path of the medium. Throws as `requireUsableNow`, since others may use its volume meanwhile. */
async function pathOf(
  context: RunContext,
  vm: Pick<VmSpec, "id" | "name" | "tenant">,
  { disk, medium, tenantOnly }: Intent,
): Promise<string | undefined> {
  if (medium === null) return undefined;
  const looked = await requireUsableNow(context, vm, driveWith(disk, medium), { tenantOnly });
  return looked?.path;
}

function checkMedium(volume: VolumeRef): VolumeRef {
  const checked = checkPart(z.object({ volume: volumeRef }), { volume }).volume;
  if (!checked.volume.endsWith(".qcow2")) return checked;
  throw invalidField("SPEC_INVALID", "volume", "must be a raw volume, such as an ISO image, not qcow2");
}

const driveWith = (name: string, volume: VolumeRef | undefined): DiskSpec => ({
  name,
  source: defined<DiskSpec["source"]>({ kind: "cdrom", volume }),
  readOnly: true,
});

const withMedium = (spec: VmSpec, name: string, medium: VolumeRef | null): VmSpec => ({
  ...spec,
  disks: spec.disks.map((disk) => (disk.name === name ? driveWith(name, medium ?? undefined) : disk)),
});

/** Throws `not_found` DISK_NOT_FOUND, `invalid` NOT_CDROM. */
function requireDrive(vm: Pick<Vm, "name" | "spec">, name: string): DiskSpec {
  const disk = requireDisk(vm, name);
  if (disk.source.kind === "cdrom") return disk;
  const message = `disk ${name} of VM ${vm.name} is no CD-ROM drive, so it has no medium to change`;
  throw new SocleError("invalid", "NOT_CDROM", message, { details: { fields: { disk: message } } });
}
