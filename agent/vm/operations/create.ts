import * as z from "../../kernel/zod.ts";
import { specEnums } from "../../contract/spec-enums.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { placementSchema, unbound } from "../../state/reservations/placement.ts";
import { domainDocument, type ResolvedSpec } from "../observation/domain-document.ts";
import { isActive } from "../hypervisor/domains.ts";
import { instanceOf } from "../model/instance.ts";
import { keyedParts, type SealedKeys } from "../model/sealed-keys.ts";
import { culpritOf } from "../hypervisor/start-fault.ts";
import { stampComplete } from "./guest-run.ts";
import {
  DEFINE,
  diskStep,
  disksLeft,
  KEYS,
  removals,
  rollBack,
  SEED,
  type Made,
} from "./creation-rollback.ts";
import { requireNewest } from "../hypervisor/stamps.ts";
import type { VmState } from "../model/vm.ts";
import type { VmSpec, VolumeRef } from "../../contract/spec.ts";
import { checkVolumes, restoreKeys } from "./start.ts";
import type { ResolvedVolume } from "../storage/volumes.ts";
import { volumeToMake } from "./own-volume.ts";
import { namedVolumes, ownDisk, ownVolumes, type DeviceSpec } from "../model/volume-names.ts";
import { lookAt } from "../storage/volume-look.ts";
import { requireUsable, usersNow, volumeKey, whereOf, type Looked } from "../storage/volume-users.ts";
import { isUndecided, outcomeUnknown, seen } from "./work.ts";
import type { WorkContext, WorkRun } from "./work.ts";
import { defineOperation } from "./definition.ts";
import { digestOf, storedSpec } from "../model/stored-spec.ts";
import { defined } from "../../kernel/defined.ts";
import type { Immutable } from "../../kernel/immutable.ts";
import { heldSeed, makeSeed } from "./first-boot.ts";

/** Steps of every creation that needs them. */
const CLAIM = "claim volumes";
const START = "start";

type Image = Pick<ResolvedVolume, "path" | "format">;

interface Making extends Made {
  /** An earlier run found no volumes of these names: any that exist now were made by this operation. */
  readonly isClaimed: boolean;
  /** The domain's stamp records that an earlier run completed, even if the journal does not. */
  readonly isComplete: boolean;
}

/** The requested VM, and its placement from the ledger. */
const schema = z.object({
  spec: storedSpec,
  accelerator: z.enum(specEnums.accelerator.words),
  leaveStopped: z.boolean(),
  /** Absent in operations from before placement. */
  placement: placementSchema.exactOptional(),
  /** The reservation that the VM uses up. */
  reservationId: z.string().exactOptional(),
  /** Restricts the caller to the spec's tenant. */
  tenantOnly: z.literal(true).exactOptional(),
  placementEpoch: z.number(),
  createdAtMs: z.number(),
  seed: heldSeed.exactOptional(),
});
export type CreateIntent = Immutable<z.output<typeof schema>>;
const intent: z.ZodType<CreateIntent> = schema;

/** Creates volumes, then the domain, then starts it. A certain failure rolls everything back: nothing is left half-made. */
export const createVm = defineOperation({
  kind: "CREATE_VM",
  intent,
  lane: "heavy",
  mayLeaveHalf: true,
  checksInstance: "always",
  nameIn: ({ spec }) => spec.name,
  startsUnder: ({ accelerator }) => accelerator,
  async run(context, intent, run) {
    const { spec } = intent;
    const { step } = run;
    let making: Making | undefined;
    try {
      making = await begin(context, intent, run);
      const { isComplete } = making;
      // An earlier run has checked what is defined already, and it may have run since.
      const named = making.isDefined
        ? new Map<string, ResolvedVolume>()
        : await step("resolve", () => resolve(context, intent, context.creations));
      await define(context, intent, run, named, making);
      const state = intent.leaveStopped
        ? "stopped"
        : await step(START, () => start(context, spec, run, isComplete), 0.5);
      // On the persistent definition: an older state directory must not restart a guest that has stopped since.
      await Promise.all([
        isComplete ? undefined : stampComplete(context, run, false),
        seen(context, spec.id, (vm) => vm?.state === state),
      ]);
      return { state, accelerator: intent.accelerator };
    } catch (thrown) {
      const error = toSocleError(thrown);
      // An undecided outcome rolls nothing back: the operation is settled by observation.
      if (making === undefined || isUndecided(error, run)) throw error;
      throw await rollBack(context, spec, run, making, error);
    }
  },
});

/**
 * The instance of the VM that a creation makes. For an operation of version 0.1.0 it is that of the domain that 0.1.0
 * would have made, whose metadata has the spec without a version.
 */
export const instanceMadeBy = (
  { spec, createdAtMs }: Pick<CreateIntent, "spec" | "createdAtMs">,
  { instance }: Pick<WorkRun, "instance">,
): string =>
  instance ??
  instanceOf(spec.id, {
    createdAt: new Date(createdAtMs).toISOString(),
    specDigest: digestOf(JSON.stringify(spec)),
  });

/** Finds what an earlier run made. Not a step, since a cancelled creation must know it to roll back. */
async function begin({ domains }: WorkContext, intent: CreateIntent, run: WorkRun): Promise<Making> {
  const { spec } = intent;
  const { resumed, done, cutOff } = run;
  const instance = instanceMadeBy(intent, run);
  const existing = await domains.document(spec.id).catch((thrown: unknown) => {
    // A failure of libvirt does not show what an earlier run made.
    throw resumed ? outcomeUnknown(toSocleError(thrown)) : thrown;
  });
  // Adopts only what an earlier run of this operation defined.
  const socle = existing?.metadata?.socle;
  const isOurs = resumed && socle !== undefined && instanceOf(spec.id, socle) === instance;
  if (existing !== undefined && !isOurs) throw vmExists(spec.id);
  if (existing === undefined && resumed && (done.has(START) || cutOff?.has(START) === true))
    throw removed(spec);
  const stamp = existing?.metadata?.stamp;
  requireNewest(run, { config: stamp });
  const isDefined = existing !== undefined;
  const isClaimed = isDefined || (resumed && (done.has(CLAIM) || ownVolumes(spec).length === 0));
  return {
    isDefined,
    isClaimed,
    isComplete: stamp?.operation === run.operationId && stamp.phase === "complete",
    instance,
    made: new Set(isClaimed ? removals(spec, run, instance).keys() : []),
  };
}

const vmExists = (id: string): SocleError =>
  new SocleError("already_exists", "VM_EXISTS", `another VM's domain ${id} exists already`);

/** The guest ran, or may have: the VM is not created again, and the guest's data stays. */
const removed = (spec: VmSpec): SocleError =>
  new SocleError(
    "conflict",
    "VM_REMOVED",
    `another client removed VM ${spec.name} before its creation was recorded as done${disksLeft(spec)}`,
  );

/** Creates the volumes, then the domain. */
async function define(
  context: WorkContext,
  intent: CreateIntent,
  run: WorkRun,
  named: ReadonlyMap<string, ResolvedVolume>,
  { isDefined, isClaimed, instance, made }: Making,
): Promise<void> {
  const { domains, volumes, architecture, socketDirectory, memoryHeadroomBytes } = context;
  const { spec, createdAtMs, accelerator, placement = unbound, placementEpoch, seed } = intent;
  const { step } = run;
  const own = ownVolumes(spec);
  // Journaled before any volume is made: volumes of these names that exist later were made by this operation.
  if (!isClaimed && own.length > 0) await step.durable(CLAIM, () => volumes.requireAbsent(own), 0);
  const make = <T>(name: string, work: () => Promise<T>, weight?: number): Promise<T> =>
    step(
      name,
      () => {
        made.add(name);
        return work();
      },
      weight,
    );
  const parts = keyedParts(spec);
  // Only the domain keeps a passphrase: until it is defined, each run makes new ones, and new volumes.
  const keys =
    isDefined || parts.length === 0 ? undefined : await make(KEYS, () => makeKeys(context, spec.id, parts));
  const disks: (Image | "no medium")[] = [];
  for (const disk of isDefined ? [] : spec.disks) {
    const { source } = disk;
    if (source.kind !== "new")
      disks.push(source.volume === undefined ? "no medium" : imageOf(named, source.volume));
    else {
      const volume = volumeToMake(spec.id, ownDisk(spec.id, disk, source));
      const at = diskStep(disk);
      // Only volumes that libvirt reports as made for this creation may be rolled back.
      disks.push(await step(at, () => volumes.make(volume, isClaimed, () => made.add(at))));
    }
  }
  const seeding = { spec, instance, mayBeThere: isClaimed, made: () => made.add(SEED) };
  const seedPath = isDefined ? undefined : await makeSeed(context, run, defined({ ...seeding, seed }));
  const document = defined<ResolvedSpec>({
    spec,
    accelerator,
    architecture,
    socketDirectory,
    placement,
    placementEpoch,
    createdAtMs,
    instance,
    operationId: run.operationId,
    isLeftStopped: intent.leaveStopped,
    disks,
    seedPath,
    ...bootOf(named, spec),
    keys,
    memoryHeadroomBytes,
  });
  await make(
    DEFINE,
    async () => {
      if (!isDefined) {
        // libvirt would redefine a domain that another client has defined meanwhile.
        if ((await domains.state(spec.id)) !== undefined && !run.resumed) throw vmExists(spec.id);
        await domains.define(domainDocument(document));
      }
    },
    0.2,
  );
}

async function makeKeys({ keys }: WorkContext, vmId: string, parts: readonly string[]): Promise<SealedKeys> {
  const made: Record<string, string> = {};
  for (const part of parts) made[part] = await keys.make(vmId, part);
  return made;
}

/** Starts the VM once in its life: one that ran before the interruption, and stopped since, stays stopped. */
async function start(
  context: WorkContext,
  spec: VmSpec,
  { resumed, done }: WorkRun,
  isComplete: boolean,
): Promise<VmState> {
  const { domains } = context;
  const { id } = spec;
  const isOnRecord = isComplete || done.has(START);
  const before = resumed ? await stateIfRun(domains, id, isOnRecord) : undefined;
  if (before !== undefined) return before;
  if (resumed) {
    await checkVolumes(context, spec);
    await restoreKeys(context, spec);
  }
  try {
    await domains.start(id, culpritOf(spec));
  } catch (thrown) {
    if (toSocleError(thrown).reason !== "EFFECT_NOT_OBSERVED") throw thrown;
    // The guest may have run and ended while the connection was lost.
    const after = await stateIfRun(domains, id, false);
    if (after === undefined) throw thrown;
    return after;
  }
  return "running";
}

/** Why a VM is off that has not run. DAEMON: a restarted libvirt ended a QEMU whose start was not complete. */
const NOT_RUN: ReadonlySet<string> = new Set(["UNKNOWN", "FAILED", "DAEMON"]);

/**
 * The VM's state if it was started before. libvirt reports why a VM is off, or that its start failed, but forgets it at
 * its own restart; then only the agent's record shows it, if it was written in time.
 */
async function stateIfRun(
  domains: WorkContext["domains"],
  id: string,
  isOnRecord: boolean,
): Promise<VmState | undefined> {
  const settled = await domains.settledState(id);
  if (settled === undefined) return undefined;
  const hasRun = isOnRecord || isActive(settled) || !NOT_RUN.has(settled.stateReason);
  return hasRun ? settled.state : undefined;
}

/**
 * Checks that the volumes and networks of the spec exist and may be used, without changes. Returns volumes by
 * `volumeKey`.
 */
export async function resolve(
  context: Pick<WorkContext, "volumes" | "networks" | "table">,
  { spec, tenantOnly, leaveStopped }: Pick<CreateIntent, "spec" | "tenantOnly" | "leaveStopped">,
  creations: () => Iterable<DeviceSpec>,
): Promise<Looked["found"]> {
  if (!leaveStopped) await context.networks.check(spec);
  if (namedVolumes(spec).length === 0) return new Map();
  const looked = await lookAt(context.volumes, spec);
  requireUsable(spec, await usersNow(context, creations, whereOf(spec, looked)), tenantOnly, looked);
  return looked.found;
}

function imageOf(named: ReadonlyMap<string, ResolvedVolume>, volume: VolumeRef): ResolvedVolume {
  const image = named.get(volumeKey(volume));
  if (image === undefined) throw new Error(`volume ${volumeKey(volume)} was not looked at`);
  return image;
}

function bootOf(
  named: ReadonlyMap<string, ResolvedVolume>,
  { kernelBoot }: VmSpec,
): Pick<ResolvedSpec, "kernelPath" | "initrdPath"> {
  if (kernelBoot === undefined) return {};
  const { kernel, initrd } = kernelBoot;
  const initrdPath = initrd === undefined ? undefined : imageOf(named, initrd).path;
  return defined({ kernelPath: imageOf(named, kernel).path, initrdPath });
}
