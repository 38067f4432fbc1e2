import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { isActive } from "../hypervisor/domains.ts";
import type { DumpFormat } from "../hypervisor/memory-dumps.ts";
import type { Vm } from "../model/vm.ts";
import { volumeKey } from "../storage/volume-users.ts";
import { tenantOfCaller } from "../../trust/index.ts";
import type { Result } from "./definition.ts";
import { bytesOf, cutShort, isBeingDumped, mayGoOn, requireDumpableNow, stillWriting } from "./dump-rules.ts";
import { volumeSchema } from "./erasure.ts";
import { endOnForcedStop, stampComplete, stampRun } from "./guest-run.ts";
import { inSectors, wantedVolume } from "./new-volume.ts";
import type { Cut } from "./stop-escalation.ts";
import { isAway, undoAll } from "./undo.ts";
import {
  interrupted,
  isUndecided,
  outcomeUnknown,
  seen,
  type RunContext,
  type WorkContext,
  type WorkRun,
} from "./work.ts";

const CLAIM = "check name";
const VOLUME = "create volume";
const WRITE = "write memory";

export const dumpVolume = z.object({ ...volumeSchema.shape, capacityBytes: z.number() });
export type DumpVolume = Readonly<z.output<typeof dumpVolume>>;

interface IntoVolume {
  readonly format: DumpFormat;
  readonly name: string;
  readonly allowEncrypted: boolean;
  readonly volume: DumpVolume;
}

/** The new volume of the VM's tenant. Throws `invalid` SPEC_INVALID. */
export function volumeFor(wanted: { readonly pool: string; readonly name: string }, vm: Vm): DumpVolume {
  const { pool, name } = wanted;
  const capacityBytes = inSectors(bytesOf(vm));
  const { volume } = wantedVolume({ pool, name, format: "raw", capacityBytes, tenant: vm.tenant }, "volume");
  return { pool, volume, capacityBytes };
}

/** Throws as `ImageVolumes.requireRoom`. libvirt does not bound what it writes. */
export const requireRoomFor = ({ images }: WorkContext, { pool, capacityBytes }: DumpVolume): Promise<void> =>
  images.volumes.requireRoom(pool, capacityBytes, "dumps of memory");

/**
 * Writes the memory of a VM into a new volume. Unless all is written, the volume is deleted; while libvirt may be writing, the
 * outcome is unknown.
 */
export async function dumpIntoVolume(
  context: RunContext,
  asked: IntoVolume,
  run: WorkRun,
  cut: Cut,
): Promise<Result> {
  if (run.resumed) return await resumed(context, asked, run);
  const { domains, table, volumes } = context;
  const { vmId, caller, step } = run;
  const { format, volume } = asked;
  const { pool, volume: name, capacityBytes } = volume;
  const release = domains.memoryDumps.hold(tenantOfCaller(caller));
  const made = new Set<string>();
  try {
    await requireDumpableNow(context, run, asked);
    const memoryBytes = table.get(vmId)?.memoryBytes ?? 0;
    if (bytesOf({ memoryBytes }) > capacityBytes) throw hasGrown(asked.name);
    // From here on the next run may delete a volume of this name.
    await step.durable(CLAIM, () => volumes.requireAbsent([volume]), 0.01);
    await requireRoomFor(context, volume);
    const make = () =>
      volumes.make({ pool, name, format: "raw", capacityBytes, isOfHost: true }, false, () =>
        made.add(VOLUME),
      );
    // Durable before the first byte: the next run knows that the volume is this operation's.
    await step.durable(VOLUME, make, 0.02);
    const { path } = await volumes.resolve(volume);
    await stampRun(context, run);
    if (cut.isWanted()) throw cutShort();
    // libvirt does not abort it.
    step.commit();
    endOnForcedStop(context, vmId, cut, "the dump of the memory");
    await step(
      WRITE,
      (report) => domains.memoryDumps.write(vmId, { path, format, memoryBytes: capacityBytes, report }),
      0.9,
    ).catch((thrown: unknown) => {
      throw !mayGoOn(thrown) && cut.isWanted() ? cutShort(thrown) : thrown;
    });
    return await keep(context, asked, run).catch((thrown: unknown) => {
      // All is written: the next run completes it.
      throw outcomeUnknown(toSocleError(thrown));
    });
  } catch (thrown) {
    const error = toSocleError(thrown);
    if (!made.has(VOLUME) || isUndecided(error, run)) throw error;
    throw await undone(context, asked, run, error);
  } finally {
    release();
  }
}

/** Completes a dump that an earlier run wrote as a whole, and deletes the volume of any other. */
async function resumed(context: RunContext, asked: IntoVolume, run: WorkRun): Promise<Result> {
  const { domains } = context;
  const { vmId, step, done } = run;
  step.goOn();
  // libvirt goes on writing without its client.
  if (await isBeingDumped(domains, vmId)) throw stillWriting();
  if (done.has(WRITE)) return await keep(context, asked, run);
  const again = "dump the memory again if it is still needed";
  if (!done.has(CLAIM)) throw interrupted(again);
  // Its pool may become active later.
  const isThere = await context.volumes.isThere(asked.volume).catch(unknownIfAway);
  if (!isThere) throw interrupted(`volume ${volumeKey(asked.volume)} is not there; ${again}`);
  // Before the step was complete, nothing was written.
  if (!done.has(VOLUME) && !(await isUntouched(context, asked.volume).catch(unknownIfAway)))
    throw interrupted(
      `the volume ${volumeKey(asked.volume)} is not known to be this operation's, and was left alone; ${again}`,
    );
  const error = interrupted(`its volume, which may be cut off, was deleted; ${again}`);
  throw await undone(context, asked, run, error);
}

const unknownIfAway = (thrown: unknown): never => {
  const error = toSocleError(thrown);
  throw isAway(error) ? outcomeUnknown(error) : error;
};

/** Whether it is as this operation creates it: another's was made meanwhile, or has data. */
async function isUntouched({ images }: WorkContext, volume: DumpVolume): Promise<boolean> {
  const { capacityBytes, allocatedBytes } = await images.volumes.facts(volume);
  return capacityBytes === volume.capacityBytes && allocatedBytes === 0;
}

async function keep(context: RunContext, { volume, format }: IntoVolume, run: WorkRun): Promise<Result> {
  const { domains, images } = context;
  const { sizeBytes } = await run.step("measure volume", () => images.volumes.facts(volume), 0.05);
  await stampComplete(context, run, isActive(await domains.state(run.vmId)));
  await seen(context, run.vmId, (vm) => vm?.stateReason !== "DUMP");
  return { pool: volume.pool, volume: volume.volume, size_bytes: String(sizeBytes), format };
}

/** A part of a dump is of no use, and has the guest's data. Throws `outcome_unknown` while libvirt does not delete it. */
async function undone(
  context: RunContext,
  { volume }: IntoVolume,
  run: WorkRun,
  cause: SocleError,
): Promise<SocleError> {
  const remove = async (): Promise<void> => {
    await context.volumes.remove(volume);
  };
  return await undoAll(context, run, [{ step: VOLUME, remove }], cause);
}

const hasGrown = (name: string): SocleError =>
  new SocleError(
    "exhausted",
    "DUMP_NO_SPACE",
    `the memory of VM ${name} has grown since this dump was requested: request it again`,
  );
