import { randomBytes } from "node:crypto";
import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VmSpec } from "../../contract/spec.ts";
import type { BackupSource } from "../hypervisor/domain-backups.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import {
  backupId,
  exportNameOf,
  mostScratchBytes,
  noBackups,
  scratchName,
  type FullReason,
  type NbdServer,
  type OpenBackup,
} from "../model/backups.ts";
import type { Snapshots } from "../model/snapshots.ts";
import { formatOf } from "../../contract/spec-volume-name.ts";
import { ownDisk, type OwnDisk } from "../model/volume-names.ts";
import {
  backupSocket,
  decided,
  endBackup,
  forgetStale,
  isPausedByError,
  removeSocket,
} from "./backup-end.ts";
import { requireServed } from "./backup-reads.ts";
import { makeScratch, type SizedSource, type Source } from "./backup-scratch.ts";
import { leaseOf, requireBase, requireConsent, sourcesOf } from "./backup-request.ts";
import { backupOpen } from "./backup-refusals.ts";
import { defineOperation, type Result } from "./definition.ts";
import { requireQuiescible } from "./create-snapshot.ts";
import { stampComplete } from "./guest-run.ts";
import { withLoose } from "./layers.ts";
import { beginOverTls, nbdNotAllowed, noNbd } from "./nbd-refusals.ts";
import { requireNotRestarting, startQemu } from "./paused-qemu.ts";
import { requireRecorded } from "./recorded.ts";
import { requireSpecOf } from "./request.ts";
import { beginChange, changeIntent, readSpec, rewriteKept, seenWithBackups } from "./spec-change.ts";
import { restoreKeys } from "./start.ts";
import { undoAll } from "./undo.ts";
import { requireComplete, requireNotSaved } from "./vm-state.ts";
import { isUndecided, type RunContext, type WorkContext, type WorkRun } from "./work.ts";

const CLAIM = "claim volumes";
const NOTE = "note backup";
const SERVED_WITHIN_MS = 60_000;

const intent = z.object({
  id: backupId,
  disks: z.array(
    z.object({
      disk: z.string(),
      pool: z.string(),
      scratch: z.string(),
      /** Of the scratch volume. */
      mostBytes: z.number(),
    }),
  ),
  base: backupId.exactOptional(),
  quiesce: z.boolean(),
  leaseMs: z.number(),
  scratchBytes: z.number(),
  /** Read by NBD over TLS. */
  nbdTls: z.literal(true).exactOptional(),
  allowEncrypted: z.literal(true).exactOptional(),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;

interface BeginBackupRequest {
  /** Empty: all that the guest writes to. */
  readonly disks: readonly string[];
  /** Empty: all is read. */
  readonly baseBackup: string;
  readonly quiesce: boolean;
  /** 0: the usual. */
  readonly leaseSeconds: number;
  /** Of each disk; 0: its capacity. */
  readonly scratchBytes: number;
  readonly nbdTls: boolean;
  /** Also of encrypted disks, whose data the reader gets in clear. */
  readonly allowEncrypted: boolean;
  /** The host serves NBD over TLS. */
  readonly servesNbd?: boolean;
  readonly etag?: string | undefined;
}

/**
 * Makes the disks of a VM readable as they are at one instant, until FINISH_BACKUP. A VM that is off gets a QEMU for it, whose
 * guest is paused. A failure undoes what was done.
 */
export const beginBackup = defineOperation({
  kind: "BEGIN_BACKUP",
  intent,
  lane: "heavy",
  mayLeaveHalf: true,
  grows: ({ disks }) => ({
    volumes: disks.map(({ pool, scratch: volume, mostBytes: capacityBytes }) => ({
      pool,
      volume,
      capacityBytes,
    })),
    diskBytes: disks.reduce((sum, { mostBytes }) => sum + mostBytes, 0),
  }),
  prepare: (request: BeginBackupRequest, _vm, { nbdPorts }) =>
    Promise.resolve({ ...request, servesNbd: nbdPorts !== undefined }),
  /**
   * Throws `denied` NBD_TLS_NOT_ALLOWED, `conflict` NBD_TLS_NOT_CONFIGURED, BACKUP_OPEN, VM_HAS_SAVED_STATE and ETAG_MISMATCH, and
   * as `leaseOf`, `requireBase`, `sourcesOf` and `requireQuiescible`.
   */
  admit(request: BeginBackupRequest, vm, { byTenant }) {
    const { disks: names, baseBackup, quiesce, leaseSeconds, scratchBytes, etag } = request;
    if (request.nbdTls && byTenant) throw nbdNotAllowed();
    if (request.nbdTls && request.servesNbd !== true) throw noNbd();
    const nbdTls = request.nbdTls ? true : undefined;
    const allowEncrypted = request.allowEncrypted ? true : undefined;
    requireSpecOf(etag, vm);
    const leaseMs = leaseOf(leaseSeconds);
    requireNotSaved(vm);
    const { backups = noBackups } = vm;
    if (backups.open !== undefined) throw backupOpen(vm.name, backups.open);
    const base = baseBackup === "" ? undefined : baseBackup;
    requireBase(vm.name, backups, base);
    const own = sourcesOf(vm, names, request.allowEncrypted);
    if (quiesce) requireQuiescible(vm);
    const id = randomBytes(8).toString("hex");
    const disks = own.map(({ disk, volume: { pool }, source: { capacityBytes = 0 } }) => ({
      disk,
      pool,
      scratch: scratchName(vm.id, disk, id),
      mostBytes: mostScratchBytes({ scratchBytes }, capacityBytes),
    }));
    const over = { base, quiesce, leaseMs, scratchBytes };
    return defined<Intent>({ id, disks, ...over, nbdTls, allowEncrypted, etag });
  },
  async plan({ volumes }, { disks, base, quiesce, nbdTls }, vm) {
    await volumes.requireAbsent(disks.map(({ pool, scratch: volume }) => ({ pool, volume })));
    return {
      disks: disks.map(({ disk }) => disk).join(","),
      base: base ?? "none",
      quiesced: String(quiesce),
      read_by: nbdTls === true ? "NBD over TLS" : "ReadExtents, or NBD at a socket of the host",
      scratch_may_grow_to_bytes: String(disks.reduce((sum, { mostBytes }) => sum + mostBytes, 0)),
      starts_qemu: String(!isActive(vm)),
    };
  },
  async run(context, asked, run) {
    const { vmId } = run;
    try {
      return await begin(context, asked, run);
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      throw await undoAll(context, run, [{ step: NOTE, remove: () => undo(context, vmId, asked) }], error);
    } finally {
      context.nbdPorts?.release(asked.id);
    }
  },
});

async function begin(context: RunContext, asked: Intent, run: WorkRun): Promise<Result> {
  const { domains, volumes } = context;
  const { vmId, step, done } = run;
  const { id, disks, base, leaseMs, scratchBytes, nbdTls, etag } = asked;
  const isClaimed = done.has(CLAIM);
  const { spec } = await beginChange(context, run, { etag, of: "devices", hasBegun: isClaimed });
  const { backups: before, snapshots } = await readSpec(context, vmId);
  let { open } = before;
  if (open !== undefined && open.id !== id) throw backupOpen(spec.name, open);
  if (open?.phase !== "open") {
    requireBase(spec.name, before, base);
    const own = requireSame(spec, snapshots, asked);
    if (!isClaimed) {
      await requireRecorded(context, vmId);
      const scratch = disks.map(({ pool, scratch: volume }) => ({ pool, volume }));
      await step.durable(CLAIM, () => volumes.requireAbsent(scratch), 0);
    }
    const isOff = open?.off === true || !isActive(await domains.state(vmId));
    if (isOff && open?.off !== true) await requireNotRestarting(context, spec);
    const noted = defined<OpenBackup>({
      id,
      createdAtMs: context.clock.now(),
      base,
      disks: own.map(({ disk, source: { capacityBytes = 0 }, pool, scratch }) => ({
        disk,
        capacityBytes,
        device: "",
        pool,
        scratch,
      })),
      leaseMs,
      scratchBytes,
      nbd: nbdTls === true ? nbdServerOf(context, id, open?.nbd) : undefined,
      phase: "beginning",
      off: isOff ? true : undefined,
      wasPaused: open === undefined && isPausedByError(await domains.state(vmId)) ? true : undefined,
    });
    // Of an earlier backup in this run of the guest. The watch reads it as soon as the new one is noted.
    if (open === undefined && !isOff) await domains.backups.setLease(vmId, undefined);
    // Noted before they exist: at no time is there a volume, or a QEMU, without an owner.
    await step(
      NOTE,
      () =>
        rewriteKept(context, vmId, (kept) => ({
          snapshots: withLoose(
            kept.snapshots,
            disks.map(({ disk, scratch, mostBytes }) => ({ disk, volume: scratch, mostBytes })),
          ),
          backups: { ...kept.backups, open: kept.backups.open ?? noted },
        })),
      0,
    );
    if (isOff && !isActive(await domains.state(vmId))) await startQemu(context, run, spec);
    // libvirt has forgotten them if it was restarted since the start of the guest.
    if (own.some(({ source }) => source.encryption !== undefined))
      await step("keys", () => restoreKeys(context, spec));
    const scratch = { id, mayBeThere: isClaimed, signal: run.signal };
    const sources = await step("make scratch volumes", () => makeScratch(context, vmId, own, scratch), 0.3);
    await step("delete old bitmaps", () => forgetStale(context, vmId), 0.1);
    open = await openNow(context, run, { asked, spec, sources, noted: { ...noted, ...before.open } });
  }
  await stampComplete(context, run, isActive(await domains.state(vmId)));
  const { backups } = await readSpec(context, vmId);
  await seenWithBackups(context, vmId, backups);
  const full = open.disks.every(({ incremental }) => incremental !== true);
  return { backup_id: id, quiesced: String(open.quiesced === true), full: String(full) };
}

async function openNow(
  context: RunContext,
  run: WorkRun,
  {
    asked: { id, base, quiesce },
    spec,
    sources,
    noted,
  }: {
    readonly asked: Intent;
    readonly spec: VmSpec;
    readonly sources: readonly SizedSource[];
    readonly noted: OpenBackup;
  },
): Promise<OpenBackup> {
  const { domains, clock } = context;
  const { vmId, step } = run;
  const { whole } = (await readSpec(context, vmId)).backups;
  const inBase = new Set(whole?.disks.flatMap(({ disk, bitmap }) => (bitmap === true ? disk : [])));
  const quiesced = await step(
    "open backup",
    async () => {
      if (await domains.backups.isOpen(vmId, id)) return false;
      await removeSocket(context, vmId);
      const asBase = sources.filter(
        (source) => base !== undefined && inBase.has(source.disk) && keepsBitmap(source),
      );
      const since =
        base === undefined || asBase.length === 0
          ? new Set<string>()
          : await domains.backups.withBitmap(
              vmId,
              base,
              asBase.map(({ device }) => device),
            );
      const disks = sources.map((source): BackupSource => ({
        device: source.device,
        exportName: exportNameOf(noted, source.device),
        scratch: source.path,
        secretUuid: source.secretUuid,
        since: since.has(source.device) ? base : undefined,
        bitmap: keepsBitmap(source),
      }));
      const server =
        noted.nbd === undefined
          ? { socket: backupSocket(context, vmId) }
          : { ...noted.nbd, tls: true as const };
      const ask = (): Promise<void> => domains.backups.begin(vmId, id, { server, disks });
      const beginNow = () => (noted.nbd === undefined ? ask() : beginOverTls(context, vmId, ask));
      if (quiesce) return await domains.freezes.during({ id: vmId, tenant: spec.tenant }, beginNow);
      await beginNow();
      return false;
    },
    0.4,
  );
  const changesOf = await domains.backups.opened(vmId, id);
  if (changesOf === undefined) throw lost(spec.name);
  const open = defined<OpenBackup>({
    ...noted,
    createdAtMs: clock.now(),
    quiesced: quiesced ? true : undefined,
    phase: "open",
    disks: sources.map((source) => {
      const { disk, device, pool, scratch, capacityBytes } = source;
      const incremental = changesOf.has(device);
      return defined<OpenBackup["disks"][number]>({
        disk,
        device,
        pool,
        scratch,
        capacityBytes,
        incremental: incremental ? true : undefined,
        fullReason: base === undefined || incremental ? undefined : whyFull(source, inBase),
        bitmap: keepsBitmap(source) ? true : undefined,
      });
    }),
  });
  if (noted.nbd === undefined)
    await requireServed(backupSocket(context, vmId), open.disks, AbortSignal.timeout(SERVED_WITHIN_MS));
  await step(
    "write backup",
    () => rewriteKept(context, vmId, (kept) => ({ ...kept, backups: { ...kept.backups, open } })),
    0.1,
  );
  return open;
}

/** A raw file has no place for a bitmap. */
const keepsBitmap = ({ volume: { volume } }: OwnDisk): boolean => formatOf(volume) === "qcow2";

const whyFull = (source: OwnDisk, inBase: ReadonlySet<string>): FullReason =>
  !keepsBitmap(source) ? "RAW" : inBase.has(source.disk) ? "BITMAP_LOST" : "NOT_IN_BASE";

/** Removes what was made, also without the domain. */
async function undo(context: WorkContext, vmId: string, { id, disks }: Intent): Promise<void> {
  const { domains, volumes } = context;
  if ((await domains.state(vmId)) === undefined) {
    for (const { pool, scratch: volume } of disks) await volumes.remove({ pool, volume });
    return;
  }
  const { open } = (await readSpec(context, vmId)).backups;
  if (open?.id !== id) return;
  await rewriteKept(context, vmId, (kept) => ({
    ...kept,
    // Its checkpoint may have been made.
    backups: decided(
      kept.backups,
      { ...open, disks: open.disks.map((disk) => ({ ...disk, bitmap: true as const })) },
      false,
    ),
  }));
  await endBackup(context, vmId, (_name, work) => work());
}

/** The disks at the run. Throws `conflict` VM_CHANGED if one is not there any more, and as `requireConsent`. */
function requireSame(spec: VmSpec, snapshots: Snapshots, { disks, allowEncrypted }: Intent): Source[] {
  return disks.map(({ disk, pool, scratch }) => {
    const found = spec.disks.find(({ name }) => name === disk);
    if (found !== undefined) requireConsent(spec.name, found, allowEncrypted === true);
    if (found?.source.kind === "new" && found.source.pool === pool)
      return { ...ownDisk(spec.id, found, found.source, snapshots), pool, scratch };
    const message = `disk ${disk} of VM ${spec.name} was changed by another operation since the request, and nothing was done; look at the VM, then repeat the request`;
    throw new SocleError("conflict", "VM_CHANGED", message);
  });
}

/** Throws `conflict` NBD_TLS_NOT_CONFIGURED, `exhausted` NBD_PORTS_IN_USE, `unavailable` while not all VMs are known. */
function nbdServerOf({ nbdPorts, table }: RunContext, id: string, noted: NbdServer | undefined): NbdServer {
  if (nbdPorts === undefined) throw noNbd();
  requireComplete(table);
  return nbdPorts.take(id, noted);
}

const lost = (vm: string): SocleError =>
  new SocleError(
    "conflict",
    "VM_STATE_CONFLICT",
    `the QEMU of VM ${vm} ended while its backup began; look at the VM, then repeat the request`,
  );
