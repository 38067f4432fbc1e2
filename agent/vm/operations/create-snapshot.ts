import { randomUUID } from "node:crypto";
import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { checkPart } from "../model/spec-check.ts";
import {
  MOST_SNAPSHOTS,
  findSnapshot,
  noSnapshots,
  snapshotDescription,
  snapshotName,
  type Snapshot,
  type Snapshots,
} from "../model/snapshots.ts";
import type { Vm } from "../model/vm.ts";
import type { OwnDisk } from "../model/volume-names.ts";
import { dropCheckpoints } from "./backup-end.ts";
import { forgetCheckpoints } from "./forget-checkpoints.ts";
import { defineOperation, type Result } from "./definition.ts";
import { requireGuestAgent } from "./guest.ts";
import { stampComplete } from "./guest-run.ts";
import {
  effectsOf,
  existing,
  growthOfLayers,
  keepInDoubt,
  layerSchema,
  looseOf,
  newLayers,
  provideLayers,
  requireAsNoted,
  requireSameLayers,
  undoLayers,
  withoutLoose,
  type Layer,
} from "./layers.ts";
import { hasOwnQemu } from "./paused-qemu.ts";
import { requireSpecOf } from "./request.ts";
import { beginChange, changeIntent, readSpec, rewriteSnapshots, seenWithSnapshots } from "./spec-change.ts";
import { undoAll } from "./undo.ts";
import { requireNotSaved, requireState } from "./vm-state.ts";
import {
  isUndecided,
  mayHaveBegun,
  outcomeUnknown,
  type RunContext,
  type WorkContext,
  type WorkRun,
} from "./work.ts";

const SWITCH = "switch disks";

const names = z.object({ name: snapshotName, description: snapshotDescription.exactOptional() });

const intent = z.object({
  id: z.string(),
  ...names.shape,
  quiesce: z.boolean(),
  layers: z.array(layerSchema),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;

interface CreateSnapshotRequest {
  /** Unvalidated. */
  readonly name: string;
  readonly description?: string | undefined;
  readonly quiesce: boolean;
  readonly etag?: string | undefined;
}

/** Keeps a VM's disks as they are at one instant. From then on the guest writes to overlays. A failure undoes what was done. */
export const createSnapshot = defineOperation({
  kind: "CREATE_SNAPSHOT",
  intent,
  lane: "heavy",
  mayLeaveHalf: true,
  notDuringBackup: "any",
  endState: "unchanged",
  grows: ({ layers }) => growthOfLayers(layers),
  /**
   * Throws `invalid` SPEC_INVALID, `already_exists` SNAPSHOT_EXISTS, `exhausted` SNAPSHOT_LIMIT_REACHED, `conflict`
   * SNAPSHOT_UNSUPPORTED, DISK_BUSY, VM_HAS_SAVED_STATE, GUEST_AGENT_NOT_CONFIGURED, VM_STATE_CONFLICT and ETAG_MISMATCH.
   */
  admit({ name, description, quiesce, etag }: CreateSnapshotRequest, vm) {
    requireSpecOf(etag, vm);
    const asked = checkPart(names, defined({ name, description }));
    requireNotSaved(vm);
    requireRoomFor(vm, asked.name);
    if (quiesce) requireQuiescible(vm);
    const id = randomUUID().slice(0, 8);
    return defined<Intent>({ ...asked, id, quiesce, layers: newLayers(vm, id), etag });
  },
  async plan({ volumes }, { name, layers, quiesce }) {
    await volumes.requireAbsent(layers);
    return {
      snapshot: name,
      disks: layers.map(({ disk }) => disk).join(","),
      quiesced: String(quiesce),
      may_grow_by_bytes: String(growthOfLayers(layers).diskBytes),
    };
  },
  async run(context, asked, run) {
    const { vmId } = run;
    const effects = effectsOf(run, [SWITCH]);
    try {
      return await create(context, asked, run, effects);
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      // Once the guest writes to the overlays, they are kept.
      if (effects.has(SWITCH) && (await isRecordedOrSwitched(context, vmId, asked)))
        throw outcomeUnknown(error);
      if (error.reason === "SWITCH_IN_DOUBT") {
        await keepInDoubt(context, vmId, asked.layers).catch((cause: unknown) => {
          throw outcomeUnknown(toSocleError(cause));
        });
        throw error;
      }
      throw await undoAll(context, run, undoLayers(context, vmId, { layers: asked.layers, effects }), error);
    }
  },
});

async function create(
  context: RunContext,
  { id, name, description, quiesce, layers, etag }: Intent,
  run: WorkRun,
  effects: Set<string>,
): Promise<Result> {
  const { domains } = context;
  const { vmId, step } = run;
  const spec = await beginChange(context, run, { etag, of: "devices", hasBegun: effects.has(SWITCH) });
  const { snapshots: before } = await readSpec(context, vmId);
  let snapshots = before;
  if (findSnapshot(before, id) === undefined) {
    const own = requireSameLayers(spec, before, layers);
    requireRoomFor({ name: spec.name, snapshots: before }, name);
    const below = (disk: OwnDisk): string => disk.volume.volume;
    const overlays = await provideLayers(context, run, { layers, effects }, { own, below, part: 0.4 });
    if (hasOwnQemu(run) || !isActive(await domains.state(vmId))) await forgetCheckpoints(context, run, spec);
    effects.add(SWITCH);
    const isQuiesced = await step(
      SWITCH,
      async () => {
        const mayBeAsked = mayHaveBegun(run, SWITCH);
        const switchNow = () => domains.layers.switchTo(vmId, overlays, mayBeAsked);
        const guest = { id: vmId, tenant: spec.tenant };
        if (await domains.layers.isSwitched(vmId, overlays)) return false;
        await requireAsNoted(context, vmId, own);
        if (!isActive(await domains.state(vmId))) await dropCheckpoints(context, vmId);
        if (quiesce) return await domains.freezes.during(guest, switchNow, mayBeAsked);
        await switchNow();
        return false;
      },
      0.3,
    );
    const made = defined<Snapshot>({
      id,
      name,
      description,
      parent: before.current,
      createdAtMs: context.clock.now(),
      quiesced: isQuiesced ? true : undefined,
      volumes: Object.fromEntries(own.map(({ disk, volume }) => [disk, volume.volume])),
    });
    snapshots = await step("write snapshot", () =>
      rewriteSnapshots(context, vmId, (now) => withSnapshot(now, made, layers)),
    );
  }
  await stampComplete(context, run, isActive(await domains.state(vmId)));
  await seenWithSnapshots(context, vmId, snapshots);
  const quiesced = findSnapshot(snapshots, id)?.quiesced === true;
  return { snapshot_id: id, snapshot: name, quiesced: String(quiesced) };
}

const withSnapshot = (now: Snapshots, made: Snapshot, layers: readonly Layer[]): Snapshots => ({
  ...withoutLoose(now, looseOf(layers)),
  snapshots: [...now.snapshots, made],
  current: made.id,
  active: { ...now.active, ...Object.fromEntries(layers.map(({ disk, volume }) => [disk, volume])) },
});

async function isRecordedOrSwitched(
  context: WorkContext,
  vmId: string,
  { id, layers }: Intent,
): Promise<boolean> {
  try {
    const { snapshots } = await readSpec(context, vmId);
    if (findSnapshot(snapshots, id) !== undefined) return true;
    const overlays = await existing(context, layers);
    return overlays !== undefined && (await context.domains.layers.isSwitched(vmId, overlays));
  } catch (thrown) {
    const error = toSocleError(thrown);
    if (error.reason === "VM_NOT_FOUND") return false;
    throw outcomeUnknown(error);
  }
}

/** Throws `already_exists` SNAPSHOT_EXISTS, `exhausted` SNAPSHOT_LIMIT_REACHED. */
function requireRoomFor({ name: vm, snapshots = noSnapshots }: Pick<Vm, "name" | "snapshots">, name: string) {
  if (findSnapshot(snapshots, name) !== undefined) {
    const message = `VM ${vm} has a snapshot ${name} already; choose another name, or delete that one`;
    throw new SocleError("already_exists", "SNAPSHOT_EXISTS", message, {
      details: { fields: { name: message } },
    });
  }
  if (snapshots.snapshots.length < MOST_SNAPSHOTS) return;
  const message = `VM ${vm} has ${MOST_SNAPSHOTS} snapshots, as many as a VM may have: delete one first (socle vm snapshot rm)`;
  throw new SocleError("exhausted", "SNAPSHOT_LIMIT_REACHED", message, {
    details: { fields: { name: message } },
  });
}

/** Throws `conflict` GUEST_AGENT_NOT_CONFIGURED and VM_STATE_CONFLICT. */
export function requireQuiescible(vm: Vm): void {
  requireGuestAgent(vm);
  requireState(vm.state, ["running"], "quiesced; leave quiesce out");
}
