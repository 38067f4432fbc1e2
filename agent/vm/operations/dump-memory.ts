import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { isActive, type Domains } from "../hypervisor/domains.ts";
import type { DumpFormat } from "../hypervisor/memory-dumps.ts";
import { keyedParts } from "../model/sealed-keys.ts";
import type { Vm } from "../model/vm.ts";
import { DumpDirectory } from "../storage/dump-directory.ts";
import { defineOperation, type Result } from "./definition.ts";
import { endOnForcedStop, stampComplete, stampRun } from "./guest-run.ts";
import { readSpec } from "./spec-change.ts";
import type { Cut } from "./stop-escalation.ts";
import { known, requireState } from "./vm-state.ts";
import { interrupted, isUndecided, seen, type RunContext, type WorkContext, type WorkRun } from "./work.ts";

/** Beside the guest's memory a dump has that of its devices, and headers. */
const MORE_BYTES = 64 * 1024 * 1024;
const ENDINGS = { elf: "elf", "kdump-zlib": "kdump" } as const;
const FILE = /\.([\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})\.(?:elf|kdump)$/;
/** The operation that has this file, by its name. Undefined: no dump has such a name. */
export const operationOfDump = (file: string): string | undefined => FILE.exec(file)?.[1];

const intent = z.object({
  format: z.enum(["elf", "kdump-zlib"]),
  /** Of the VM, for the name of the file. */
  name: z.string(),
  /** Where the file is: the configuration may change before the end. */
  directory: z.string(),
  allowEncrypted: z.boolean(),
});
type Intent = z.output<typeof intent>;

interface DumpRequest {
  readonly format: DumpFormat;
  /** Also for a VM whose disks are encrypted. */
  readonly allowEncrypted: boolean;
  /** That of the configuration. */
  readonly directory?: string;
}

/** Writes the memory of a VM into a file on the host. The guest stands still meanwhile, and then goes on. */
export const dumpMemory = defineOperation({
  kind: "DUMP_MEMORY",
  acceptsRescued: true,
  intent,
  // A large dump takes minutes: it holds no place that a start needs.
  lane: "command",
  // A VM that is off may have the QEMU of a backup, which has executed nothing.
  notDuringBackup: "any",
  async prepare(request: DumpRequest, vm, { dumps = notConfigured }) {
    await dumps.requireRoom(bytesOf(vm));
    return { ...request, directory: dumps.path };
  },
  /** Throws `conflict` DUMP_NOT_ENCRYPTED and DUMP_UNSUPPORTED. */
  admit({ format, allowEncrypted, directory = notConfigured.path }: DumpRequest, vm) {
    requireDumpable(vm, allowEncrypted);
    return { format, name: vm.name, directory, allowEncrypted };
  },
  plan(_context, { format, directory }, vm) {
    requireState(vm.state, ["running", "paused"], "dumped");
    return Promise.resolve({ directory, format, writes_bytes_at_most: String(bytesOf(vm)), applies: "now" });
  },
  // A forced stop does not wait for it.
  run: (context, asked, run) =>
    context.escalation.during(run.vmId, run.caller, (cut) => dump(context, asked, run, cut)),
});

async function dump(context: RunContext, asked: Intent, run: WorkRun, cut: Cut): Promise<Result> {
  const { domains, table } = context;
  const { vmId, operationId, step, resumed } = run;
  const { format, name, allowEncrypted } = asked;
  const directory = (context.dumps ?? notConfigured).at(asked.directory);
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
  const { spec } = await readSpec(context, vmId);
  // An operation admitted earlier may have attached an encrypted disk.
  requireDumpable({ name, spec }, allowEncrypted);
  const before = await known(context, vmId);
  requireState(before.state, ["running", "paused"], "dumped");
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
      if (toSocleError(thrown).kind === "outcome_unknown") throw thrown;
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

/** Also for an agent that has died. */
export async function isBeingDumped(
  domains: Pick<Domains, "settledState" | "memoryDumps">,
  vmId: string,
): Promise<boolean> {
  await domains.settledState(vmId);
  return await domains.memoryDumps.isUnderWay(vmId);
}

const resultOf = ({ path, sizeBytes }: { path: string; sizeBytes: number }, format: DumpFormat): Result => ({
  path,
  size_bytes: String(sizeBytes),
  format,
});

const notConfigured = new DumpDirectory(undefined);

const bytesOf = ({ memoryBytes }: Pick<Vm, "memoryBytes">): number => memoryBytes + MORE_BYTES;

/** A part of a dump is of no use, and has the guest's data. Throws `internal` DUMP_PART_LEFT, which names it. */
async function removePart(context: WorkContext, directory: DumpDirectory, file: string): Promise<void> {
  await directory.removePart(file).catch((thrown: unknown) => {
    const path = directory.partOf(file);
    context.log.warn({ path, err: toSocleError(thrown) }, "a part of a dump could not be deleted");
    const message = `the memory was not dumped, and the part of it in ${path} could not be deleted: the agent tries again each minute, or delete that file`;
    throw new SocleError("internal", "DUMP_PART_LEFT", message, { cause: thrown });
  });
}

function requireDumpable({ name, spec }: Pick<Vm, "name" | "spec">, allowEncrypted: boolean): void {
  if (spec?.launchSecurity !== undefined)
    throw new SocleError(
      "conflict",
      "DUMP_UNSUPPORTED",
      `the memory of VM ${name} is encrypted, so that the host cannot dump it: have the guest's kernel dump it (kdump)`,
    );
  if (allowEncrypted || spec === undefined || keyedParts(spec).length === 0) return;
  const message = `VM ${name} has encrypted disks or a TPM, and the dump would have their data and secrets in clear: allow that (allow_encrypted, --allow-encrypted) if the directory for dumps is on encrypted storage`;
  throw new SocleError("conflict", "DUMP_NOT_ENCRYPTED", message);
}

const cutShort = (cause?: unknown): SocleError =>
  new SocleError("conflict", "DUMP_CUT_SHORT", "a forced stop ended the VM before its memory was dumped", {
    cause,
  });

const stillWriting = (): SocleError =>
  new SocleError("outcome_unknown", "EFFECT_UNDER_WAY", "libvirt is still writing the VM's memory");
