import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";
import { encryptedBytes, encryptedImage } from "../../kernel/qcow2/encrypted-image.ts";
import type { Luks } from "../../kernel/qcow2/luks.ts";
import { formatExactBytes } from "../../kernel/text/bytes.ts";
import type { Report } from "../../state/operations/run.ts";
import { imageFields } from "../images/image.ts";
import { mismatch, requireSafeHeader } from "../images/header-check.ts";
import { uploadGone } from "../images/upload.ts";
import { checkPart } from "../model/spec-check.ts";
import { isEncrypted } from "../model/sealed-keys.ts";
import { hasSnapshots } from "../model/snapshots.ts";
import { unstartedOf, unstartedText, type Unstarted } from "../model/unstarted.ts";
import type { Vm } from "../model/vm.ts";
import type { VmMetadata } from "../model/vm-domain.ts";
import { ownDisk, type OwnDisk } from "../model/volume-names.ts";
import { HEADER_BYTES } from "../storage/qcow2-header.ts";
import { requireDisk, requireNoUsers } from "./detach-disk.ts";
import { defineOperation, type Result } from "./definition.ts";
import { luksOf } from "./disk-luks.ts";
import { volumeSchema } from "./erasure.ts";
import { stampComplete } from "./guest-run.ts";
import { readSpec } from "./spec-change.ts";
import { known, requireNotSaved, requireState } from "./vm-state.ts";
import { interrupted, mayHaveBegun, seen, type RunContext, type WorkContext, type WorkRun } from "./work.ts";

const END = "note its end";
const AGAIN = "restore the disk again, or delete the VM";
/** libvirt's reasons for a VM that is off and has not run since libvirt started. */
const NOT_RUN: ReadonlySet<string> = new Set(["UNKNOWN", "FAILED"]);
/** libvirt rounds the capacity of a qcow2 volume up to it. */
const ROUND_BYTES = 1024;
const LEAST_TABLES_BYTES = 16 * 1024 * 1024;

const digest = z.object({ sha256: imageFields.sha256, sizeBytes: z.number().int().positive() });

const intent = z.object({
  disk: z.string(),
  volume: volumeSchema,
  capacityBytes: z.number(),
  ...digest.shape,
  /** The upload that sends the bytes, known until the agent stops. */
  upload: z.string(),
  /** Disks that are to be restored after this one. */
  moreDisks: z.array(z.string()),
});
type Intent = z.output<typeof intent>;

interface RestoreRequest {
  readonly disk: string;
  /** Unvalidated. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly upload: string;
  readonly moreDisks: readonly string[];
}

/**
 * Replaces the volume of a disk that no guest has used by the bytes of an upload. From before the first byte until all are
 * verified the VM's metadata says so, and the VM does not start. A failure leaves it at that.
 */
export const restoreDisk = defineOperation({
  kind: "RESTORE_DISK",
  intent,
  lane: "transfer",
  acceptsUnrestored: true,
  mayLeaveHalf: true,
  endState: "unchanged",
  /**
   * Throws `not_found` DISK_NOT_FOUND, `invalid` SPEC_INVALID, RESTORE_SIZE_INVALID and IMAGE_FORMAT_MISMATCH, `conflict`
   * VM_HAS_STARTED, RESTORE_UNSUPPORTED, VM_HAS_SAVED_STATE and VM_STATE_CONFLICT.
   */
  admit({ disk: name, upload, moreDisks, ...bytes }: RestoreRequest, vm) {
    const { sha256, sizeBytes } = checkPart(digest, { ...bytes, sha256: bytes.sha256.toLowerCase() });
    requireState(vm.state, ["stopped"], "restored");
    if (vm.unstarted === undefined || !NOT_RUN.has(vm.stateReason)) throw hasStarted(vm.name);
    requireNotSaved(vm);
    if (hasSnapshots(vm.snapshots)) throw unsupported(vm, "it has snapshots");
    for (const each of moreDisks) requireRestorable(vm, each);
    const disk = requireRestorable(vm, name);
    const { capacityBytes = 0 } = disk.source;
    requireSize(sizeBytes, capacityBytes);
    // Throws for a size that no image in the needed order has.
    if (disk.source.encryption !== undefined) encryptedBytes(sizeBytes);
    return {
      disk: name,
      volume: disk.volume,
      capacityBytes,
      sha256,
      sizeBytes,
      upload,
      moreDisks: moreDisks.filter((each) => each !== name),
    };
  },
  async run(context, asked, run) {
    const { domains } = context;
    const { vmId, operationId, step, resumed } = run;
    // The bytes are gone with the call that sent them.
    if (resumed && !(await isNotedWhole(context, asked, run))) throw interrupted(AGAIN);
    if (resumed) return await restored(context, asked, run);
    requireState((await known(context, vmId)).state, ["stopped"], "restored");
    const { spec } = await readSpec(context, vmId);
    const isSealed = spec.disks.some((each) => each.name === asked.disk && isEncrypted(each));
    const luks = isSealed ? await luksOf(context, vmId, asked.disk) : undefined;
    // Specs name it for this VM alone, and another client may have made an overlay of it.
    await step("look for users", () => requireNoUsers(context, vmId, asked.volume), 0.01);
    step.requireOpen();
    await domains.stamps.begin(vmId, operationId);
    const { disk, volume, moreDisks } = asked;
    const all = [disk, ...moreDisks];
    await step.durable(
      "note restoration",
      () => rewrite(context, vmId, ({ restoring }) => [...new Set([...restoring, ...all])]),
      0.02,
    );
    await step("remove volume", () => context.volumes.remove(volume), 0.02);
    await write(context, asked, run, luks);
    step.commit();
    return await restored(context, asked, run);
  },
});

/** An earlier run verified all bytes and noted that. */
async function isNotedWhole(context: WorkContext, { disk }: Intent, run: WorkRun): Promise<boolean> {
  if (!mayHaveBegun(run, END)) return false;
  const { unstarted } = (await readSpec(context, run.vmId)).socle;
  return unstarted !== undefined && !unstartedOf(unstarted).restoring.includes(disk);
}

async function restored(context: WorkContext, { disk, sha256 }: Intent, run: WorkRun): Promise<Result> {
  const { vmId, step } = run;
  step.goOn();
  const now = await step(END, () =>
    rewrite(context, vmId, ({ restoring }) => restoring.filter((each) => each !== disk)),
  );
  await stampComplete(context, run, false);
  await seen(context, vmId, (vm) => isDeepStrictEqual(vm?.unstarted, now));
  return { disk, sha256 };
}

/** Fills the volume with the bytes, and verifies them. */
async function write(
  { images, volumes }: RunContext,
  { volume, capacityBytes, sha256, sizeBytes, upload: uploadId }: Intent,
  { step, signal }: WorkRun,
  luks: Luks | undefined,
): Promise<void> {
  const inPool = luks === undefined ? sizeBytes : encryptedBytes(sizeBytes);
  const sent = images.uploads.get(uploadId);
  if (sent === undefined) throw uploadGone();
  const loss = new AbortController();
  const ends = AbortSignal.any([signal, loss.signal, images.store.ending]);
  const source = sent(ends);
  const hash = createHash("sha256");
  try {
    await step("look at pool", () => images.volumes.requireRoom(volume.pool, inPool), 0.01);
    const lost = (why: Error): void => loss.abort(why);
    const upload = (report: Report): Promise<void> =>
      images.pace.keep(lost, async (passed) => {
        let doneBytes = 0;
        const bytes = checked(source.bytes, { sizeBytes, capacityBytes }, (chunk) => {
          hash.update(chunk);
          passed((doneBytes += chunk.length));
          report({ doneBytes, totalBytes: sizeBytes });
        });
        const stored = luks === undefined ? bytes : encryptedImage(sizeBytes, bytes, luks);
        await images.volumes.fill(volume, inPool, stored, { signal: ends, lost });
      });
    await step("upload", upload, 0.85);
  } finally {
    source.close();
  }
  const found = hash.digest("hex");
  if (found !== sha256) throw wrongDigest(found, sha256);
  await step("verify", async () => {
    const facts = await images.volumes.inspect(volume);
    if (facts.hasBacking || facts.sizeBytes !== inPool || facts.format !== "qcow2")
      throw mismatch(
        `libvirt reads the file as ${facts.format ?? "an unknown format"} of ${facts.sizeBytes} bytes`,
      );
    // As the VM's start will.
    await volumes.resolve(volume);
  });
  // The note that the disk is whole is durable at once.
  await step("sync", () => volumes.sync(volume.pool));
}

/** The bytes, passed on once the header is safe. */
async function* checked(
  bytes: AsyncIterable<Buffer>,
  { sizeBytes, capacityBytes }: Pick<Intent, "sizeBytes" | "capacityBytes">,
  passed: (chunk: Buffer) => void,
): AsyncGenerator<Buffer, void, undefined> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of bytes) {
    passed(chunk);
    if (head === undefined) {
      yield chunk;
      continue;
    }
    head = Buffer.concat([head, chunk]);
    if (head.length < Math.min(HEADER_BYTES, sizeBytes)) continue;
    requireCapacity(requireSafeHeader(head, "qcow2") ?? 0, capacityBytes);
    yield head;
    head = undefined;
  }
}

async function rewrite(
  context: WorkContext,
  vmId: string,
  change: (now: Unstarted) => readonly string[],
): Promise<Unstarted> {
  const { spec, socle } = await readSpec(context, vmId);
  if (socle.unstarted === undefined) throw hasStarted(spec.name);
  const now = unstartedOf(socle.unstarted);
  const restoring = [...change(now)];
  const metadata: VmMetadata = { ...socle, unstarted: unstartedText({ restoring }) };
  if (!isDeepStrictEqual(restoring, now.restoring)) await context.domains.setMetadata(vmId, metadata, false);
  return { restoring };
}

/** A volume that was made for the VM, with no other below it. Throws `not_found` DISK_NOT_FOUND, `conflict` RESTORE_UNSUPPORTED. */
function requireRestorable(vm: Vm, name: string): OwnDisk {
  const disk = requireDisk(vm, name);
  const { source } = disk;
  if (source.kind !== "new") throw unsupported(vm, `disk ${name} is no volume that was made for the VM`);
  // The bytes of a raw disk are the guest's, and would be the file's.
  if (source.format === "raw")
    throw unsupported(vm, `disk ${name} is raw, and its bytes are stored as qcow2`);
  if (source.baseVolume !== undefined) throw unsupported(vm, `disk ${name} has a base volume`);
  return ownDisk(vm.id, disk, source);
}

/** Throws `invalid` RESTORE_SIZE_INVALID. */
function requireSize(sizeBytes: number, capacityBytes: number): void {
  // The tables of a qcow2 image take less than 1/32 of its disk, with clusters of 512 bytes.
  const most = Math.ceil((capacityBytes * 33) / 32) + LEAST_TABLES_BYTES;
  if (sizeBytes <= most) return;
  throw sizeInvalid(
    "size_bytes",
    `a qcow2 disk of ${formatExactBytes(capacityBytes)} has at most ${most} bytes in a file`,
  );
}

function requireCapacity(found: number, capacityBytes: number): void {
  if (found >= capacityBytes && found <= Math.ceil(capacityBytes / ROUND_BYTES) * ROUND_BYTES) return;
  throw sizeInvalid("content", `the file has a disk of ${found} bytes, and the VM's has ${capacityBytes}`);
}

const sizeInvalid = (field: string, message: string): SocleError =>
  new SocleError("invalid", "RESTORE_SIZE_INVALID", message, { details: { fields: { [field]: message } } });

const wrongDigest = (found: string, sha256: string): SocleError =>
  new SocleError(
    "invalid",
    "RESTORE_DIGEST_MISMATCH",
    `the bytes have the SHA-256 ${found}, not ${sha256}: ${AGAIN}`,
    { details: { metadata: { sha256: found } } },
  );

const hasStarted = (vm: string): SocleError =>
  new SocleError(
    "conflict",
    "VM_HAS_STARTED",
    `VM ${vm} has started before, so that its disks have data of its own: create a VM with leave_stopped, and restore into that one`,
  );

function unsupported({ name }: Pick<Vm, "name">, why: string): SocleError {
  const message = `a disk of VM ${name} cannot be restored: ${why}; create a VM with new volumes without a base for it`;
  return new SocleError("conflict", "RESTORE_UNSUPPORTED", message, {
    details: { fields: { disk: message } },
  });
}
