import { SocleError } from "../../kernel/errors.ts";
import type { Operation, Outcome } from "../../state/operations/operation.ts";
import { instanceMadeBy } from "./create.ts";
import { isComplete, type Admitted } from "../hypervisor/stamps.ts";
import { definitionOf, type Intent } from "./registry.ts";
import { resultOf } from "./definition.ts";
import { volumeKey } from "../storage/volume-users.ts";
import type { WorkContext } from "./work.ts";

/**
 * Whether only the watermark keeps an older copy of the state from repeating it: a failed change leaves no trace in
 * libvirt, and another client may remove a created VM together with its stamp.
 */
export const isShownByWatermarkAlone = ({ kind, state }: Pick<Operation, "kind" | "state">): boolean =>
  state !== "succeeded" || kind === "CREATE_VM";

/**
 * Ends an operation that has no end here because the state directory is older than its run. Nothing is changed: it
 * succeeded if libvirt shows its effect, else its outcome is unknown. Throws libvirt's errors.
 */
export async function outdatedOutcome(
  { domains, images, volumes }: Pick<WorkContext, "domains" | "images" | "volumes">,
  operation: Admitted,
  intent: Intent,
): Promise<Outcome> {
  const { vmId } = operation;
  if (intent.kind === "IMPORT_IMAGE" || intent.kind === "DELETE_IMAGE") {
    const isPublished = (await images.volumes.publishedAs(intent.image)) !== undefined;
    if (isPublished === (intent.kind === "IMPORT_IMAGE"))
      return { state: "succeeded", result: { image_id: intent.image.id } };
    return { state: "failed", error: superseded(`image ${intent.image.name}`) };
  }
  const ofVolume = await volumeOutcome(volumes, intent);
  if (ofVolume !== undefined) return ofVolume;
  const now = await domains.settledState(vmId);
  const standing = now === undefined ? undefined : await domains.stamps.standing(vmId);
  if (intent.kind === "CREATE_VM") {
    const isMade = standing !== undefined && standing.instance === instanceMadeBy(intent, operation);
    if (isMade && now !== undefined)
      return { state: "succeeded", result: { state: now.state, accelerator: intent.accelerator } };
  }
  const { endState } = definitionOf(intent.kind);
  const isSame = standing !== undefined && standing.instance === operation.instance;
  if (endState !== undefined && isSame && isComplete(operation, standing))
    return { state: "succeeded", result: resultOf(endState) };
  return { state: "failed", error: superseded(`VM ${vmId}`) };
}

/** Undefined for an operation on something else. */
async function volumeOutcome(volumes: WorkContext["volumes"], intent: Intent): Promise<Outcome | undefined> {
  const { kind } = intent;
  if (kind !== "CREATE_VOLUME" && kind !== "RESIZE_VOLUME" && kind !== "DELETE_VOLUME") return undefined;
  const volume = volumeKey(intent.volume);
  const isThere = await volumes.isThere(intent.volume);
  const isDone =
    kind === "DELETE_VOLUME"
      ? !isThere
      : isThere && (await volumes.resolve(intent.volume)).capacityBytes >= intent.capacityBytes;
  if (isDone) return { state: "succeeded", result: { volume } };
  return { state: "failed", error: superseded(`volume ${volume}`) };
}

const superseded = (what: string): SocleError =>
  new SocleError(
    "conflict",
    "OPERATION_SUPERSEDED",
    `the state directory was rolled back to before the end of this operation, and it is not continued: its outcome is ` +
      `not known here; check ${what}, and request again what is still needed`,
  );
