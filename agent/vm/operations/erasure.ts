import { createHash } from "node:crypto";
import type { Release, Semaphore } from "../../kernel/concurrency/semaphore.ts";
import * as z from "../../kernel/zod.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Immutable } from "../../kernel/immutable.ts";
import { extraOf, memoryFilesOf } from "../model/snapshots.ts";
import { namedVolumes, ownDisks, seedVolumes, type Layered } from "../model/volume-names.ts";
import type { Step } from "../../state/operations/operations.ts";
import { diskPart, TPM_PART } from "../model/sealed-keys.ts";
import type { WorkContext, WorkRun } from "./work.ts";
import { defined } from "../../kernel/defined.ts";

export const volumeSchema = z.object({ pool: z.string(), volume: z.string() });

/** What to erase of a VM, and further facts for the receipt. */
export const erasureSchema = z.object({
  name: z.string(),
  tenant: z.string(),
  disks: z.array(
    z.object({
      disk: z.string(),
      volume: volumeSchema,
      /** Its base volume, in the same pool. */
      baseVolume: z.string().exactOptional(),
      /** The disk has snapshots: its other volumes may be below this one. */
      layered: z.literal(true).exactOptional(),
      encrypted: z.boolean(),
    }),
  ),
  /** The VM has a TPM, whose state is deleted with the domain. */
  tpm: z.boolean(),
  /** Its memory was saved in a file, which is removed with the domain and not overwritten. */
  savedState: z.literal(true).exactOptional(),
  /** So was that of its snapshots. */
  snapshotMemory: z.literal(true).exactOptional(),
  /** Volumes that the VM used and does not own. */
  kept: z.array(volumeSchema),
});
export type Erasure = Immutable<z.output<typeof erasureSchema>>;

/** The VM's own volumes by disk, and those that it shared with others. */
export function erasureOf(spec: VmSpec & Layered, savedState = false): Erasure {
  const disks = ownDisks(spec).flatMap(({ disk, volume, layers, source: { baseVolume, encryption } }) =>
    [volume, ...layers].map((each) =>
      defined<Erasure["disks"][number]>({
        disk,
        volume: each,
        baseVolume,
        layered: layers.length > 0 ? true : undefined,
        encrypted: encryption !== undefined,
      }),
    ),
  );
  for (const { disk, pool, volume, baseVolume } of extraOf(spec.snapshots))
    disks.push(defined({ disk, volume: { pool, volume }, baseVolume, encrypted: false }));
  // The guest does not write to a seed, but it has the secrets of a first boot.
  for (const volume of seedVolumes(spec)) disks.push({ disk: "seed", volume, encrypted: false });
  return {
    ...(savedState ? { savedState } : {}),
    ...(memoryFilesOf(spec.snapshots).length > 0 ? { snapshotMemory: true } : {}),
    name: spec.name,
    tenant: spec.tenant,
    disks,
    tpm: spec.tpm !== undefined,
    kept: namedVolumes(spec),
  };
}

/** A disk's entry in the receipt. */
export interface ErasedDisk {
  readonly disk: string;
  readonly pool: string;
  readonly volume: string;
  /**
   * crypto-erase: its key was destroyed and its header overwritten. overwrite: all bytes were overwritten with zeros.
   * absent: it did not exist any more; the receipt claims nothing about it.
   */
  readonly method: "crypto-erase" | "overwrite" | "absent";
  /** Number of overwritten bytes; absent if an earlier run of the operation overwrote them. */
  readonly bytes?: number;
}

/**
 * Runs the work with a permit. The wait is the operation's current step, which can be cancelled. Without a signal there
 * is no such step, and the wait cannot be cancelled.
 */
export async function inTurn<T>(
  semaphore: Semaphore,
  client: string,
  step: Step,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  let release: Release = () => undefined;
  try {
    // The step may fail after the permit was granted.
    const wait = async (): Promise<void> => {
      release = await semaphore.acquire(client, signal);
    };
    await (signal === undefined ? wait() : step("wait for other erasures", wait));
    return await work();
  } finally {
    release();
  }
}

/**
 * Overwrites the disks of a VM, or their keys; repeating it is safe. `isGone`: the VM and its disks are gone, so only
 * the record of an earlier run is used. `requireOff` runs before each disk and throws unless the VM is off. Throws
 * `conflict` ERASURE_CANCELLED.
 */
export async function eraseDisks(
  context: WorkContext,
  { disks, tpm }: Erasure,
  run: WorkRun,
  { isGone, requireOff }: { readonly isGone: boolean; readonly requireOff: () => Promise<void> },
): Promise<ErasedDisk[]> {
  const { volumes } = context;
  const { vmId, step, done, signal } = run;
  const parts = disks.flatMap(({ disk, encrypted }) => (encrypted ? [diskPart(disk)] : []));
  if (tpm) parts.push(TPM_PART);
  if (parts.length > 0) await step("destroy keys", () => destroyKeys(context, parts, vmId));
  const erased: ErasedDisk[] = [];
  for (const { disk, volume, encrypted } of disks) {
    const name = `erase ${volume.volume}`;
    const wasDone = done.has(name);
    const method = encrypted ? "crypto-erase" : "overwrite";
    if (isGone) {
      erased.push({ disk, ...volume, method: wasDone ? method : "absent" });
      continue;
    }
    await requireOff();
    const overwrite = (): Promise<number | undefined> =>
      encrypted ? volumes.erasure.overwriteHeader(volume, signal) : volumes.erasure.overwrite(volume, signal);
    const bytes = await step(name, overwrite, 0.2).catch((thrown: unknown) => {
      throw signal.aborted ? partlyErased(volume.volume) : thrown;
    });
    const isAbsent = bytes === undefined && !wasDone;
    erased.push(defined({ disk, ...volume, method: isAbsent ? "absent" : method, bytes }));
  }
  return erased;
}

const partlyErased = (volume: string): SocleError =>
  new SocleError(
    "conflict",
    "ERASURE_CANCELLED",
    `the erasure was cancelled at ${volume}, which may be overwritten in part: delete the VM again`,
  );

/** Afterwards neither the domain nor libvirt has the keys. */
async function destroyKeys(
  { domains, keys }: WorkContext,
  parts: readonly string[],
  vmId: string,
): Promise<void> {
  const socle = (await domains.document(vmId))?.metadata?.socle;
  if (socle?.keys !== undefined) {
    const { keys: _destroyed, ...others } = socle;
    await domains.setMetadata(vmId, others, false);
  }
  for (const part of parts) await keys.forget(vmId, part);
}

/** The operation's result: later proof of what was done with a tenant's data. */
export function receiptOf(
  { attest }: WorkContext,
  { name, tenant, tpm, savedState, snapshotMemory, kept }: Erasure,
  disks: readonly ErasedDisk[],
  { vmId, operationId }: WorkRun,
): Record<string, string> {
  const statement = defined<Record<string, unknown>>({
    receipt: "socle erasure 1",
    vm: vmId,
    name,
    tenant,
    operation: operationId,
    disks,
    tpm: tpm ? "crypto-erase" : undefined,
    saved_state: savedState === true ? "removed" : undefined,
    snapshot_memory: snapshotMemory === true ? "removed" : undefined,
    kept,
  });
  const { text, signature } = attest(statement);
  return {
    receipt: text,
    receipt_signature: signature,
    receipt_sha256: createHash("sha256").update(text).digest("hex"),
  };
}
