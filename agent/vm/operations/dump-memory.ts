import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { defined } from "../../kernel/defined.ts";
import { isActive } from "../hypervisor/domains.ts";
import type { DumpFormat } from "../hypervisor/memory-dumps.ts";
import { DumpDirectory } from "../storage/dump-directory.ts";
import { defineOperation, type Result } from "./definition.ts";
import { dumpIntoVolume, dumpVolume, requireRoomFor, volumeFor } from "./dump-into-volume.ts";
import {
  bytesOf,
  cutShort,
  isBeingDumped,
  mayGoOn,
  requireDumpable,
  requireDumpableNow,
  stillWriting,
} from "./dump-rules.ts";
import { endOnForcedStop, stampComplete, stampRun } from "./guest-run.ts";
import type { Cut } from "./stop-escalation.ts";
import { requireState } from "./vm-state.ts";
import { sourceDisk } from "./volume-source.ts";
import { interrupted, isUndecided, seen, type RunContext, type WorkContext, type WorkRun } from "./work.ts";

const ENDINGS = { elf: "elf", "kdump-zlib": "kdump" } as const;
const FILE = /\.([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})\.(?:elf|kdump)$/;
/** The operation that has this file, by its name. Undefined: no dump has such a name. */
export const operationOfDump = (file: string): string | undefined => FILE.exec(file)?.[1];

const intent = z.object({
  format: z.enum(["elf", "kdump-zlib"]),
  /** Of the VM, for the name of the file. */
  name: z.string(),
  /** Where the file is: the configuration may change before the end. Absent: in the volume. */
  directory: z.string().exactOptional(),
  volume: dumpVolume.exactOptional(),
  allowEncrypted: z.boolean(),
});
type Intent = z.output<typeof intent>;

interface DumpRequest {
  readonly format: DumpFormat;
  /** Also for a VM whose disks are encrypted. */
  readonly allowEncrypted: boolean;
  /** A new volume for it. */
  readonly volume?: { readonly pool: string; readonly name: string };
  /** That of the configuration, without a volume. */
  readonly directory?: string;
}

/** Writes the memory of a VM into a file on the host, or into a new volume. The guest stands still meanwhile, and then goes on. */
export const dumpMemory = defineOperation({
  kind: "DUMP_MEMORY",
  acceptsRescued: true,
  intent,
  // A large dump takes minutes: it holds no place that a start needs.
  lane: "command",
  // A VM that is off may have the QEMU of a backup, which has executed nothing.
  notDuringBackup: "any",
  // An interrupted dump has a file, or a volume.
  mayLeaveHalf: true,
  // Meanwhile no VM gets the volume, and no operation resizes, deletes or imports it.
  adds: ({ volume: into }) =>
    into === undefined ? {} : { disks: [sourceDisk({ pool: into.pool, volume: into.volume })] },
  grows: ({ volume }) => ({ volumes: volume === undefined ? [] : [volume], diskBytes: 0 }),
  async prepare(request: DumpRequest, vm, context) {
    if (request.volume !== undefined) {
      await requireRoomFor(context, volumeFor(request.volume, vm));
      return request;
    }
    const { dumps = notConfigured } = context;
    await dumps.requireRoom(bytesOf(vm));
    return { ...request, directory: dumps.path };
  },
  /** Throws `conflict` DUMP_NOT_ENCRYPTED and DUMP_UNSUPPORTED, `invalid` SPEC_INVALID, and as `requireMayDump`. */
  admit({ format, allowEncrypted, volume, directory }: DumpRequest, vm, { byTenant }) {
    requireMayDump(volume !== undefined, !byTenant);
    requireDumpable(vm, allowEncrypted);
    const where =
      volume === undefined
        ? { directory: directory ?? notConfigured.path }
        : { volume: volumeFor(volume, vm) };
    return { format, name: vm.name, ...where, allowEncrypted };
  },
  async plan({ volumes }, { format, directory, volume }, vm) {
    requireState(vm.state, ["running", "paused"], "dumped");
    if (volume !== undefined) await volumes.requireAbsent([volume]);
    const where =
      volume === undefined ? defined<Result>({ directory }) : { pool: volume.pool, volume: volume.volume };
    return { ...where, format, writes_bytes_at_most: String(bytesOf(vm)), applies: "now" };
  },
  // A forced stop does not wait for it.
  run: (context, asked, run) =>
    context.escalation.during(run.vmId, run.caller, (cut) =>
      asked.volume === undefined
        ? dump(context, asked, run, cut)
        : dumpIntoVolume(context, { ...asked, volume: asked.volume }, run, cut),
    ),
});

/** Throws `denied` DUMP_DENIED: a file on the host is for the provider's operators. */
export function requireMayDump(hasVolume: boolean, isOperator: boolean): void {
  if (hasVolume || isOperator) return;
  const message =
    "only the provider's operators dump memory into a file on the host: name a new volume for it (volume, --volume)";
  throw new SocleError("denied", "DUMP_DENIED", message);
}

async function dump(context: RunContext, asked: Intent, run: WorkRun, cut: Cut): Promise<Result> {
  const { domains, table } = context;
  const { vmId, operationId, step, resumed } = run;
  const { format, name } = asked;
  const directory = (context.dumps ?? notConfigured).at(asked.directory ?? "");
  const file = `${name}.${operationId}.${ENDINGS[format]}`;
  const bytes = bytesOf({ memoryBytes: table.get(vmId)?.memoryBytes ?? 0 });
  if (resumed) {
    directory.hold(file, bytes);
    try {
      return resultOf(await ended(context, run, directory, file), format);
    } catch (thrown) {
      if (!isUndecided(toSocleError(thrown), run)) directory.release(file);
      throw thrown;
    }
  }
  await requireDumpableNow(context, run, asked);
  await directory.claim(file, bytes);
  try {
    await stampRun(context, run);
    if (cut.isWanted()) throw cutShort();
    // libvirt does not abort it.
    step.commit();
    endOnForcedStop(context, vmId, cut, "the dump of the memory");
    const path = directory.partOf(file);
    await step(
      "write memory",
      (report) => domains.memoryDumps.write(vmId, { path, format, memoryBytes: bytes, report }),
      0.9,
    ).catch(async (thrown: unknown) => {
      if (mayGoOn(thrown)) throw thrown;
      await removePart(context, directory, file);
      throw cut.isWanted() ? cutShort(thrown) : thrown;
    });
    const kept = await step("keep file", () => directory.keep(file), 0.1);
    await stampComplete(context, run, isActive(await domains.state(vmId)));
    await seen(context, vmId, (vm) => vm?.stateReason !== "DUMP");
    directory.release(file);
    return resultOf(kept, format);
  } catch (thrown) {
    // libvirt may still be writing: the next run releases it.
    if (!isUndecided(toSocleError(thrown), run)) directory.release(file);
    throw thrown;
  }
}

/** The whole dump of an earlier run. Throws `conflict` INTERRUPTED if there is none, and `outcome_unknown` while libvirt writes. */
async function ended(
  context: RunContext,
  { vmId }: WorkRun,
  directory: DumpDirectory,
  file: string,
): Promise<{ readonly path: string; readonly sizeBytes: number }> {
  const { domains } = context;
  const kept = await directory.whole(file);
  if (kept !== undefined) {
    directory.release(file);
    return kept;
  }
  // libvirt goes on writing without its client, and its answer is lost: the file may be cut off.
  if (await isBeingDumped(domains, vmId)) throw stillWriting();
  await removePart(context, directory, file);
  throw interrupted(
    "its file, which may be cut off, was deleted; dump the memory again if it is still needed",
  );
}

const resultOf = ({ path, sizeBytes }: { path: string; sizeBytes: number }, format: DumpFormat): Result => ({
  path,
  size_bytes: String(sizeBytes),
  format,
});

const notConfigured = new DumpDirectory(undefined);

/** A part of a dump is of no use, and has the guest's data. Throws `internal` DUMP_PART_LEFT, which names it. */
async function removePart(context: WorkContext, directory: DumpDirectory, file: string): Promise<void> {
  await directory.removePart(file).catch((thrown: unknown) => {
    const path = directory.partOf(file);
    context.log.warn({ path, err: toSocleError(thrown) }, "a part of a dump could not be deleted");
    const message = `the memory was not dumped, and the part of it in ${path} could not be deleted: the agent tries again each minute, or delete that file`;
    throw new SocleError("internal", "DUMP_PART_LEFT", message, { cause: thrown });
  });
}
