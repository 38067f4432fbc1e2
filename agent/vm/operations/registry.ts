import * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Operation } from "../../state/operations/operation.ts";
import { attachDisk } from "./attach-disk.ts";
import { attachNic } from "./attach-nic.ts";
import { attachPciDevice } from "./attach-pci-device.ts";
import { changeMedia } from "./change-media.ts";
import { changeSeed } from "./change-seed.ts";
import { beginBackup } from "./begin-backup.ts";
import { createSnapshot } from "./create-snapshot.ts";
import { createVm } from "./create.ts";
import { createVolume } from "./create-volume.ts";
import type { OperationDefinition } from "./definition.ts";
import { deleteImage } from "./delete-image.ts";
import { deleteVolume } from "./delete-volume.ts";
import { deleteVm } from "./delete.ts";
import { deleteSnapshot } from "./delete-snapshot.ts";
import { detachDisk } from "./detach-disk.ts";
import { finishBackup } from "./finish-backup.ts";
import { importImage } from "./import-image.ts";
import { dumpMemory } from "./dump-memory.ts";
import { detachNic } from "./detach-nic.ts";
import { detachPciDevice } from "./detach-pci-device.ts";
import { discardSavedState } from "./discard-saved-state.ts";
import { injectNmi } from "./inject-nmi.ts";
import { pauseVm } from "./pause.ts";
import { moveDisk } from "./move-disk.ts";
import { rescueVm } from "./rescue.ts";
import { unrescueVm } from "./unrescue.ts";
import { rebootVm } from "./reboot.ts";
import { resizeDisk } from "./resize-disk.ts";
import { resizeVolume } from "./resize-volume.ts";
import { restoreDisk } from "./restore-disk.ts";
import { resumeVm } from "./resume.ts";
import { revertSnapshot } from "./revert-snapshot.ts";
import { startVm } from "./start.ts";
import { stopVm } from "./stop.ts";
import { updateDisk } from "./update-disk.ts";
import { updateNic } from "./update-nic.ts";
import { updateVm } from "./update-vm.ts";
import { suspendVm } from "./suspend.ts";

/** Every kind of operation. */
const definitions = [
  createVm,
  startVm,
  stopVm,
  rebootVm,
  pauseVm,
  resumeVm,
  deleteVm,
  updateVm,
  attachDisk,
  detachDisk,
  resizeDisk,
  updateDisk,
  importImage,
  deleteImage,
  createVolume,
  resizeVolume,
  deleteVolume,
  attachNic,
  detachNic,
  updateNic,
  attachPciDevice,
  detachPciDevice,
  suspendVm,
  discardSavedState,
  injectNmi,
  createSnapshot,
  deleteSnapshot,
  revertSnapshot,
  changeMedia,
  moveDisk,
  rescueVm,
  unrescueVm,
  beginBackup,
  finishBackup,
  restoreDisk,
  changeSeed,
  dumpMemory,
] as const;
type Definitions = (typeof definitions)[number];

export type OperationKind = Definitions["kind"];
type DefinitionOf<Kind extends OperationKind> = Extract<Definitions, { readonly kind: Kind }>;
type PartsOf<Definition> =
  Definition extends OperationDefinition<infer Kind, infer Intent, infer Request>
    ? { readonly intent: { readonly kind: Kind } & Intent; readonly request: Request }
    : never;

export type Intent<Kind extends OperationKind = OperationKind> = PartsOf<DefinitionOf<Kind>>["intent"];
/** The parameters of a request for an operation of this kind, beside the VM. */
export type RequestOf<Kind extends OperationKind> = PartsOf<DefinitionOf<Kind>>["request"];

/** A definition without its types: pass only intents of its own kind. */
export type AnyDefinition = OperationDefinition<OperationKind, object, object>;

// The cast drops the types of intent and request: a definition of one kind does not accept those of another.
const byKind: ReadonlyMap<string, AnyDefinition> = new Map(
  definitions.map((definition) => [definition.kind, definition as unknown as AnyDefinition]),
);

export const operationKinds: readonly OperationKind[] = definitions.map(({ kind }) => kind);

export function definitionOf(kind: OperationKind): AnyDefinition {
  const found = byKind.get(kind);
  if (found === undefined) throw new Error(`there is no operation of the kind ${kind}`);
  return found;
}

/** By the journal's object: holders of claims identify an intent by its object. */
const read = new WeakMap<object, Intent>();

/** The intent of an operation, from what the definition of its kind admitted. */
export const newIntent = (kind: OperationKind, admitted: object): Intent => ({ kind, ...admitted }) as Intent;

/** The intent as the journal stores it, in the format of this version. */
export function storedIntent(intent: Intent): object {
  const { kind } = intent;
  const stored = Object.assign({ kind }, z.encode(definitionOf(kind).intent, intent));
  read.set(stored, intent);
  return stored;
}

/**
 * The intent in the journal, always the same object. Throws `internal` INTENT_UNREADABLE for a kind or format that only
 * a newer version knows.
 */
export function intentOf({ id, kind, intent }: Pick<Operation, "id" | "kind" | "intent">): Intent {
  const key = typeof intent === "object" && intent !== null ? intent : {};
  const known = read.get(key);
  if (known !== undefined) return known;
  const parsed = byKind.get(kind)?.intent.safeParse(intent);
  if (parsed?.success === true) {
    const found = { kind, ...parsed.data } as Intent;
    read.set(key, found);
    return found;
  }
  const why =
    parsed === undefined ? `the kind ${kind} is not known` : (parsed.error.issues[0]?.message ?? "");
  const message = `the intent of operation ${id} cannot be read by this version (${why}): run the version that wrote it, or settle it (socle operations settle)`;
  throw new SocleError("internal", "INTENT_UNREADABLE", message);
}

/** Undefined if this version cannot read it: its claims are then unknown. */
export function readIntent(operation: Operation): Intent | undefined {
  try {
    return intentOf(operation);
  } catch {
    return undefined;
  }
}

export function nameIn(operation: Operation): string | undefined {
  const intent = readIntent(operation);
  return intent === undefined ? undefined : definitionOf(intent.kind).nameIn?.(intent);
}
