import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { CHANGES, type OpenBackup } from "../model/backups.ts";
import type { Vm } from "../model/vm.ts";
import { NbdReader, type Extent, type Piece } from "../../kernel/nbd/nbd-reader.ts";
import { backupSocket } from "./backup-end.ts";
import type { BackupLeases } from "./backup-leases.ts";
import { leaseOf } from "./backup-request.ts";
import { noBackup } from "./backup-refusals.ts";
import { interrupted } from "./work.ts";

/** A disk of an open backup. */
interface Asked {
  readonly backupId: string;
  readonly disk: string;
  readonly offsetBytes: number;
}

/** Extents of one message. */
const EXTENTS_AT_ONCE = 1000;
/** Of a disk's bytes in one message. */
const MESSAGE_BYTES = 256 * 1024;

/** Open backups: their leases, and the bytes of their disks. */
export class BackupReads {
  readonly #leases: BackupLeases;
  readonly #scratchUsed: ReadonlyMap<string, number>;
  readonly #socketDirectory: string;
  #bytesRead = 0;

  constructor(options: {
    readonly leases: BackupLeases;
    /** By VM, as BackupWatch sees it. */
    readonly scratchUsed: ReadonlyMap<string, number>;
    readonly socketDirectory: string;
  }) {
    this.#leases = options.leases;
    this.#scratchUsed = options.scratchUsed;
    this.#socketDirectory = options.socketDirectory;
  }

  /** For metrics: bytes of guests sent to readers, zeros not counted. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  leaseUntilMs(vmId: string, id: string): number | undefined {
    return this.#leases.untilMs(vmId, id);
  }

  /** The path of the socket on which QEMU serves the backup. */
  socketOf(vmId: string): string {
    return backupSocket({ socketDirectory: this.#socketDirectory }, vmId);
  }

  /** Of all scratch volumes of the VM, a moment ago. */
  scratchUsedBytes(vmId: string): number {
    return this.#scratchUsed.get(vmId) ?? 0;
  }

  /** Throws `not_found` BACKUP_NOT_FOUND, `invalid` LEASE_INVALID, and libvirt's errors. */
  async renew(vm: Vm, backupId: string, leaseSeconds: number): Promise<void> {
    requireOpen(vm, backupId);
    await this.#leases.renew(vm.id, backupId, leaseOf(leaseSeconds));
  }

  /** By offset. Throws as #open, and what NbdReader throws. */
  async *extents(vm: Vm, asked: Asked, signal: AbortSignal): AsyncGenerator<Extent[], void, undefined> {
    const reader = await this.#open(vm, asked, signal);
    try {
      let some: Extent[] = [];
      for await (const extent of reader.extents(asked.offsetBytes)) {
        some.push(extent);
        if (some.length < EXTENTS_AT_ONCE) continue;
        this.#leases.touch(vm.id, asked.backupId);
        yield some;
        some = [];
      }
      if (some.length > 0) yield some;
    } finally {
      reader.close();
    }
  }

  /** By offset. Throws as `extents`. */
  async *pieces(vm: Vm, asked: Asked, signal: AbortSignal): AsyncGenerator<Piece, void, undefined> {
    const reader = await this.#open(vm, asked, signal);
    try {
      for await (const piece of reader.pieces(asked.offsetBytes)) {
        this.#leases.touch(vm.id, asked.backupId);
        this.#bytesRead += piece.bytes?.length ?? 0;
        yield piece;
      }
    } finally {
      reader.close();
    }
  }

  /** Throws `not_found` BACKUP_NOT_FOUND, `invalid` DISK_NOT_IN_BACKUP and OFFSET_INVALID, `conflict` BACKUP_READ_BY_NBD. */
  async #open(vm: Vm, { backupId, disk: name, offsetBytes }: Asked, signal: AbortSignal): Promise<NbdReader> {
    const open = requireOpen(vm, backupId);
    if (open.nbd !== undefined) throw byNbd(vm.name, backupId);
    const disk = open.disks.find((each) => each.disk === name);
    if (disk === undefined) throw noDisk(backupId, name, open);
    if (offsetBytes > disk.capacityBytes)
      throw invalid("OFFSET_INVALID", "offset_bytes", `is beyond the disk's ${disk.capacityBytes} bytes`);
    this.#leases.touch(vm.id, backupId);
    return await openDisk(this.socketOf(vm.id), disk, signal);
  }
}

/**
 * libvirt shows a backup as open before QEMU serves its disks. If libvirt ended between the two, nothing can be read. Throws
 * `unavailable` INTERRUPTED.
 */
export async function requireServed(
  socket: string,
  disks: OpenBackup["disks"],
  signal: AbortSignal,
): Promise<void> {
  for (const disk of disks)
    try {
      (await openDisk(socket, disk, signal)).close();
    } catch (thrown) {
      throw interrupted(`disk ${disk.disk} cannot be read: ${toSocleError(thrown).message}`);
    }
}

const openDisk = (
  socket: string,
  { device, incremental }: OpenBackup["disks"][number],
  signal: AbortSignal,
): Promise<NbdReader> =>
  NbdReader.open(
    {
      socket,
      exportName: device,
      changes: incremental === true ? CHANGES : undefined,
      pieceBytes: MESSAGE_BYTES,
    },
    signal,
  );

function requireOpen({ name, backups }: Vm, id: string): OpenBackup {
  const open = backups?.open;
  if (open?.id === id && open.phase === "open") return open;
  throw noBackup(name, id);
}

const noDisk = (backup: string, disk: string, { disks }: OpenBackup): SocleError =>
  invalid(
    "DISK_NOT_IN_BACKUP",
    "disk",
    `backup ${backup} has no disk ${disk}; it has ${disks.map((each) => each.disk).join(", ")}`,
  );

const invalid = (reason: string, field: string, problem: string): SocleError =>
  new SocleError("invalid", reason, `${field}: ${problem}`, { details: { fields: { [field]: problem } } });

const byNbd = (vm: string, id: string): SocleError =>
  new SocleError(
    "conflict",
    "BACKUP_READ_BY_NBD",
    `backup ${id} of VM ${vm} is read by NBD over TLS alone, by the caller that began it so: wait for its end`,
  );
