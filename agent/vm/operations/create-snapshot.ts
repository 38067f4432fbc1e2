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
import { isInRun, stampComplete } from "./guest-run.ts";
import {
  effectsOf,
  existing,
  growthOfLayers,
  keepInDoubt,
  layersKept,
  layerSchema,
  looseOf,
  newLayers,
  provideLayers,
  requireAsNoted,
  requireExisting,
  requireSameLayers,
  undoLayers,
  withoutLoose,
  type Layer,
} from "./layers.ts";
import {
  forgetLooseMemory,
  keptMemory,
  memoryFor,
  requireMemoryNow,
  sizedNow,
  switchWithMemory,
  untilWritten,
} from "./create-memory.ts";
import { hasOwnQemu } from "./paused-qemu.ts";
import { requireRecorded } from "./recorded.ts";
import { requireSpecOf } from "./request.ts";
import { beginChange, changeIntent, readSpec, rewriteSnapshots, seenWithSnapshots } from "./spec-change.ts";
import {
  memoryRoomOf,
  NOT_RUNNING,
  requireMemoryRoom,
  withoutMemory,
  withoutNote,
} from "./snapshot-memory.ts";
import type { Cut } from "./stop-escalation.ts";
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
/** Durable before libvirt is asked to switch a guest that may write. */
const RUNS = "note that it runs";
const WITHOUT_MEMORY = withoutMemory("").reason;

const names = z.object({ name: snapshotName, description: snapshotDescription.exactOptional() });

const intent = z.object({
  id: z.string(),
  ...names.shape,
  quiesce: z.boolean(),
  /** Where the memory is kept: the configuration may change before the end. Absent: the disks alone. */
  memory: keptMemory.exactOptional(),
  layers: z.array(layerSchema),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;

interface CreateSnapshotRequest {
  /** Unvalidated. */
  readonly name: string;
  readonly description?: string | undefined;
  readonly quiesce: boolean;
  readonly memory?: boolean;
  /** That of the configuration. */
  readonly directory?: string;
  readonly etag?: string | undefined;
}

/**
 * Keeps a VM's disks as they are at one instant, and its memory if asked. From then on the guest writes to overlays. A failure
 * undoes what was done.
 */
export const createSnapshot = defineOperation({
  kind: "CREATE_SNAPSHOT",
  intent,
  // Much memory takes minutes: it holds no place that a start needs.
  lane: ({ memory }) => (memory === undefined ? "heavy" : "command"),
  mayLeaveHalf: true,
  notDuringBackup: "any",
  endState: "unchanged",
  grows: ({ layers }) => growthOfLayers(layers),
  // No look at the directory: it is not for every caller.
  prepare: (request: CreateSnapshotRequest, _vm, { dumps }) =>
    Promise.resolve(
      request.memory === true ? defined({ ...request, directory: dumps?.configured }) : request,
    ),
  /**
   * Throws `invalid` SPEC_INVALID, `already_exists` SNAPSHOT_EXISTS, `exhausted` SNAPSHOT_LIMIT_REACHED, `conflict`
   * SNAPSHOT_UNSUPPORTED, DISK_BUSY, VM_HAS_SAVED_STATE, GUEST_AGENT_NOT_CONFIGURED, VM_STATE_CONFLICT and ETAG_MISMATCH, with
   * memory also `denied` SNAPSHOT_MEMORY_NOT_ALLOWED, and `conflict` SNAPSHOT_MEMORY_NOT_CONFIGURED, SNAPSHOT_MEMORY_GROWN and as
   * `requireKeepable`.
   */
  admit(request: CreateSnapshotRequest, vm, admission) {
    const { name, description, quiesce, etag } = request;
    requireSpecOf(etag, vm);
    const asked = checkPart(names, defined({ name, description }));
    requireNotSaved(vm);
    requireRoomFor(vm, asked.name);
    if (quiesce) requireQuiescible(vm);
    const id = randomUUID().slice(0, 8);
    const memory = request.memory === true ? memoryFor(request, vm, { id, ...admission }) : undefined;
    return defined<Intent>({ ...asked, id, quiesce, memory, layers: newLayers(vm, id), etag });
  },
  async plan(context, { name, layers, quiesce, memory }) {
    await context.volumes.requireAbsent(layers);
    if (memory !== undefined) await requireMemoryRoom(context, memory);
    return defined<Result>({
      snapshot: name,
      disks: layers.map(({ disk }) => disk).join(","),
      quiesced: String(quiesce),
      may_grow_by_bytes: String(growthOfLayers(layers).diskBytes),
      memory_bytes_at_most: memory && String(memoryRoomOf(memory)),
    });
  },
  // A forced stop does not wait for the memory.
  run: (context, asked, run) =>
    asked.memory === undefined
      ? createOrUndo(context, asked, run)
      : context.escalation.during(run.vmId, run.caller, (cut) => createOrUndo(context, asked, run, cut)),
});

async function createOrUndo(context: RunContext, asked: Intent, run: WorkRun, cut?: Cut): Promise<Result> {
  const { vmId } = run;
  const effects = effectsOf(run, [SWITCH]);
  if (run.done.has(RUNS)) for (const name of [SWITCH, RUNS]) effects.add(name);
  if (cut !== undefined && asked.memory !== undefined && effects.has(SWITCH))
    await untilWritten(context, run, asked.memory, cut);
  try {
    return await create(context, asked, run, effects, cut);
  } catch (thrown) {
    const error = toSocleError(thrown);
    // The snapshot is there, without its memory.
    if (isUndecided(error, run) || error.reason === WITHOUT_MEMORY) throw error;
    // Once the guest writes to the overlays, they are kept.
    if (effects.has(SWITCH) && (await isRecordedOrSwitched(context, vmId, asked)))
      throw outcomeUnknown(error);
    const guest = await guestOf(context, vmId, effects);
    if (guest === "ended") throw outcomeUnknown(error);
    if (guest === "gone") {
      await forgetLooseMemory(context, vmId, asked.memory);
      throw layersKept(error, asked.layers);
    }
    const isInDoubt = error.reason === "SWITCH_IN_DOUBT";
    // Nothing was asked now: what an earlier run asked for is not known.
    if (guest === "runs" && run.done.has(RUNS) && error.kind === "exhausted") throw outcomeUnknown(error);
    if (isInDoubt || (guest === "runs" && run.done.has(RUNS))) {
      await keepInDoubt(context, vmId, asked.layers).catch((cause: unknown) => {
        throw outcomeUnknown(toSocleError(cause));
      });
      throw isInDoubt ? error : layersKept(error, asked.layers);
    }
    const undone = await undoAll(
      context,
      run,
      undoLayers(context, vmId, { layers: asked.layers, effects }),
      error,
    );
    await forgetLooseMemory(context, vmId, asked.memory);
    throw undone;
  }
}

async function create(
  context: RunContext,
  asked: Intent,
  run: WorkRun,
  effects: Set<string>,
  cut: Cut | undefined,
): Promise<Result> {
  const { id, name, description, quiesce, layers, etag } = asked;
  const { domains } = context;
  const { vmId, step } = run;
  const memory = asked.memory && (await sizedNow(context, vmId, asked.memory));
  const hasEnded = (await guestOf(context, vmId, effects)) === "ended";
  if (hasEnded) step.goOn();
  const { spec, snapshots: before } = await beginChange(context, run, {
    etag,
    of: "devices",
    hasBegun: effects.has(SWITCH),
  });
  let snapshots = before;
  if (findSnapshot(before, id) === undefined) {
    const own = requireSameLayers(spec, before, layers);
    requireRoomFor({ name: spec.name, snapshots: before }, name);
    if (!effects.has(SWITCH)) await requireRecorded(context, vmId);
    if (memory !== undefined && !effects.has(SWITCH)) await requireMemoryNow(context, spec, memory);
    const below = (disk: OwnDisk): string => disk.volume.volume;
    // A layer that a guest may have written to is not made anew.
    const overlays = effects.has(RUNS)
      ? await requireExisting(context, layers)
      : await provideLayers(context, run, { layers, effects }, { own, below, part: 0.4 });
    let now = await domains.state(vmId);
    if (hasOwnQemu(run) || !isActive(now)) {
      await forgetCheckpoints(context, run, spec);
      now = await domains.state(vmId);
    }
    if (memory !== undefined && !effects.has(RUNS))
      requireState(now?.state ?? "stopped", ["running"], NOT_RUNNING);
    if (isActive(now) && !effects.has(RUNS)) {
      await step.durable(RUNS, () => noteRun(context, run, layers), 0);
      effects.add(RUNS);
    }
    effects.add(SWITCH);
    const mayBeAsked = mayHaveBegun(run, SWITCH) || run.done.has(RUNS);
    const memoryBytes =
      memory === undefined || cut === undefined
        ? undefined
        : await switchWithMemory(
            context,
            run,
            { memory, own, overlays, effects, names: { asked: SWITCH, runs: RUNS } },
            cut,
          );
    const isQuiesced =
      memory === undefined &&
      (await step(
        SWITCH,
        async () => {
          // No guest has written to the layers of a VM that was off.
          const isSameRun = async (): Promise<boolean> =>
            !effects.has(RUNS) || (await isInRun(context, run, "marked"));
          const switchNow = () => domains.layers.switchTo(vmId, overlays, { mayBe: mayBeAsked, isSameRun });
          const guest = { id: vmId, tenant: spec.tenant };
          const isSwitched =
            (await domains.layers.isSwitched(vmId, overlays)) ||
            (mayBeAsked && (await domains.layers.isUnrecorded(vmId, overlays)));
          if (isSwitched) {
            // Of a running guest, libvirt may have lost the switch.
            await switchNow();
            return false;
          }
          await requireAsNoted(context, vmId, own, effects.has(RUNS) ? overlays : []);
          if (!isActive(await domains.state(vmId))) await dropCheckpoints(context, vmId);
          if (quiesce && !hasEnded) return await domains.freezes.during(guest, switchNow, mayBeAsked);
          await switchNow();
          return false;
        },
        0.3,
      ));
    const made = defined<Snapshot>({
      id,
      name,
      description,
      parent: before.current,
      createdAtMs: context.clock.now(),
      quiesced: isQuiesced ? true : undefined,
      memory:
        memory === undefined || memoryBytes === undefined ? undefined : { ...memory, bytes: memoryBytes },
      volumes: Object.fromEntries(own.map(({ disk, volume }) => [disk, volume.volume])),
    });
    snapshots = await step("write snapshot", () =>
      rewriteSnapshots(context, vmId, (now) => withSnapshot(now, made, layers)),
    );
  }
  const found = findSnapshot(snapshots, id);
  if (memory !== undefined && found?.memory === undefined) {
    await forgetLooseMemory(context, vmId, memory);
    await seenWithSnapshots(context, vmId, (await readSpec(context, vmId)).snapshots);
    throw withoutMemory(name);
  }
  await stampComplete(context, run, isActive(await domains.state(vmId)));
  await seenWithSnapshots(context, vmId, snapshots);
  return defined<Result>({
    snapshot_id: id,
    snapshot: name,
    quiesced: String(found?.quiesced === true),
    memory_bytes: found?.memory && String(found.memory.bytes),
  });
}

/** Other operations keep the layers from now on, also once a person has settled this one. The mark shows another run of the guest. */
async function noteRun(context: WorkContext, run: WorkRun, layers: readonly Layer[]): Promise<void> {
  const { vmId, operationId } = run;
  await keepInDoubt(context, vmId, layers);
  await context.domains.stamps.mark(vmId, { operation: operationId, phase: "run" });
}

/**
 * The guest that libvirt may have been asked to switch; undefined: none. libvirt may have died before it recorded the switch.
 * If the guest "ended" before libvirt was back, the layers may have what it wrote last: the switch goes on in the definition,
 * and is never undone. "gone": there is no domain that could show the switch.
 */
async function guestOf(
  { domains }: WorkContext,
  vmId: string,
  effects: ReadonlySet<string>,
): Promise<"runs" | "ended" | "gone" | undefined> {
  if (!effects.has(RUNS)) return undefined;
  try {
    const now = await domains.state(vmId);
    if (now === undefined) return "gone";
    return isActive(now) ? "runs" : "ended";
  } catch (thrown) {
    throw outcomeUnknown(toSocleError(thrown));
  }
}

const withSnapshot = (now: Snapshots, made: Snapshot, layers: readonly Layer[]): Snapshots => ({
  ...withoutLoose(made.memory === undefined ? now : withoutNote(now, made.memory), looseOf(layers)),
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
