import type { Clock } from "../../kernel/clock.ts";
import { defined } from "../../kernel/defined.ts";
import { ifPresent, SocleError, toSocleError } from "../../kernel/errors.ts";
import * as libvirt from "../../libvirt/index.ts";
import {
  buildBackup,
  buildCheckpoint,
  parseBackup,
  type BackupDisk,
  type BackupServer,
} from "../../libvirt/xml/index.ts";
import { CHANGES } from "../model/backups.ts";
import { buildLease, leaseMark, parseLease } from "../model/vm-domain.ts";
import { Certainty, type LibvirtCalls } from "./certainty.ts";
import type { DomainReads } from "./domain-reads.ts";
import { isActive } from "./domain-state.ts";
import { AHEAD, reference } from "./stamps.ts";
import { jobStuck } from "./stuck-job.ts";
import { pastTakenNodes } from "./taken-nodes.ts";

/** A disk of a backup. */
export interface BackupSource {
  /** The guest's device. */
  readonly device: string;
  /** At the NBD server. */
  readonly exportName: string;
  /** The file that takes what the guest overwrites meanwhile. */
  readonly scratch: string;
  /** The libvirt secret with the passphrase of the scratch file, which is encrypted with LUKS. */
  readonly secretUuid?: string | undefined;
  /** The checkpoint since which the changes are read. */
  readonly since?: string | undefined;
  /** Changes from now on are recorded. */
  readonly bitmap: boolean;
}

const { LIVE } = libvirt.DomainModificationImpact;
/** Nothing is written there: libvirt looks at the bitmaps before the file. */
const NO_FILE = "/nonexistent/socle-scratch";

/**
 * Backups of a domain's disks over NBD, and the bitmaps of changes since. A backup is a job of the domain, which outlives the
 * connection that began it, and libvirt: what libvirt shows is what counts, since replies may be lost.
 */
export class DomainBackups {
  readonly #libvirt: LibvirtCalls;
  readonly #certainty: Certainty;
  readonly #reads: DomainReads;

  constructor(calls: LibvirtCalls, clock: Clock, reads: DomainReads) {
    this.#libvirt = calls;
    this.#certainty = new Certainty(calls, clock);
    this.#reads = reads;
  }

  /** Does nothing if it is open already. Throws as `#requireNoJob`. */
  async begin(
    id: string,
    name: string,
    { server, disks }: { readonly server: BackupServer; readonly disks: readonly BackupSource[] },
  ): Promise<void> {
    const isOpen = (): Promise<boolean> => this.isOpen(id, name);
    const all = await this.#devices(id);
    const others = all.filter((device) => !disks.some((disk) => disk.device === device));
    const backupXml = buildBackup({
      mode: "pull",
      server,
      disks: [...disks.map(pulled), ...others.map((device) => ({ name: device, backup: false }))],
    });
    const marked = disks.filter(({ bitmap }) => bitmap);
    const checkpointXml =
      marked.length === 0
        ? null
        : buildCheckpoint({
            name,
            disks: all.map((device) => ({
              name: device,
              checkpoint: marked.some((disk) => disk.device === device) ? "bitmap" : "no",
            })),
          });
    const flags = libvirt.DomainBackupBeginFlags.REUSE_EXTERNAL;
    const ask = async (): Promise<void> => {
      if (await isOpen()) return;
      await this.#requireNoJob(id);
      const args = { dom: reference(id), backupXml, checkpointXml, flags };
      await this.#libvirt.call(libvirt.domainBackupBegin, args, { lane: "slow" });
    };
    await pastTakenNodes(() => this.#certainty.ensure(ask, isOpen));
  }

  /** Whether the backup can be read. */
  async isOpen(id: string, name: string): Promise<boolean> {
    return (await this.opened(id, name)) !== undefined;
  }

  /**
   * Whether QEMU has the backup's files: also if an agent that is gone has asked for it, and libvirt has yet to begin. Throws
   * `outcome_unknown` after a minute with another job.
   */
  async hasBegun(id: string, name: string): Promise<boolean> {
    if (await this.isOpen(id, name)) return true;
    await this.#certainty.quiet();
    // The job is there before the backup, and as long.
    const look = async (): Promise<boolean | undefined> =>
      (await this.isOpen(id, name)) || ((await this.#hasJob(id)) ? undefined : false);
    return (await this.#certainty.once(look, (found) => found !== undefined)) === true;
  }

  /** The devices of an open backup of which it has only the changes; undefined if it is not open. */
  async opened(id: string, name: string): Promise<ReadonlySet<string> | undefined> {
    const args = { dom: reference(id), flags: 0 };
    try {
      const found = await ifPresent("LIBVIRT_NO_DOMAIN_BACKUP", () =>
        this.#libvirt.call(libvirt.domainBackupGetXmlDesc, args),
      );
      if (found === undefined) return undefined;
      const { disks = [] } = parseBackup(found.xml);
      if (!disks.some(({ target }) => target?.path.includes(`.backup-${name}.`) === true)) return undefined;
      return new Set(disks.flatMap((disk) => (disk.mode === "incremental" ? disk.name : [])));
    } catch (thrown) {
      const { kind, reason } = toSocleError(thrown);
      // The guest is off, or the domain is gone.
      if (kind === "conflict" || reason === "LIBVIRT_NO_DOMAIN") return undefined;
      throw thrown;
    }
  }

  /** Ends the backup, and with it the reads. Also succeeds if it is over. */
  async end(id: string, name: string): Promise<void> {
    const isOver = async (): Promise<boolean> => !(await this.isOpen(id, name));
    await this.#certainty.ensure(async () => {
      if (await isOver()) return;
      await this.#libvirt
        .call(libvirt.domainAbortJob, { dom: reference(id) })
        .catch(async (thrown: unknown) => {
          if (toSocleError(thrown).kind === "outcome_unknown" || !(await isOver())) throw thrown;
        });
    }, isOver);
    // libvirt's reply comes before the end.
    await this.#certainty.once(isOver, (over) => over);
  }

  /**
   * The devices whose changes since the checkpoint are known. libvirt refuses a backup over a bitmap that is missing or broken,
   * as after a crash of QEMU. It looks at that first: each of these calls is refused, for that or for its file. Throws as
   * `#requireNoJob`.
   */
  async withBitmap(id: string, since: string, devices: readonly string[]): Promise<ReadonlySet<string>> {
    await this.#requireNoJob(id);
    const all = await this.#devices(id);
    const known = new Set<string>();
    for (const device of devices) {
      const asked = { device, exportName: device, scratch: NO_FILE, since, bitmap: false };
      const others = all.filter((each) => each !== device);
      const backupXml = buildBackup({
        mode: "pull",
        server: { socket: `${NO_FILE}.sock` },
        disks: [pulled(asked), ...others.map((name) => ({ name, backup: false }))],
      });
      const flags = libvirt.DomainBackupBeginFlags.REUSE_EXTERNAL;
      const args = { dom: reference(id), backupXml, checkpointXml: null, flags };
      try {
        await this.#libvirt.call(libvirt.domainBackupBegin, args);
        await this.#libvirt.call(libvirt.domainAbortJob, { dom: reference(id) });
        known.add(device);
      } catch (thrown) {
        const { kind, reason } = toSocleError(thrown);
        if (kind === "outcome_unknown" || kind === "unavailable" || kind === "timeout") throw thrown;
        if (!LOST.has(reason)) known.add(device);
      }
    }
    return known;
  }

  /**
   * Deletes checkpoints with their bitmaps. Returns those that are left, since a guest that is off has no QEMU that could delete
   * a bitmap.
   */
  async forget(id: string, names: readonly string[]): Promise<readonly string[]> {
    const left: string[] = [];
    for (const name of names) if (!(await this.#forget(id, name))) left.push(name);
    return left;
  }

  /** The checkpoints of these that libvirt has. */
  async existing(id: string, names: readonly string[]): Promise<readonly string[]> {
    const found: string[] = [];
    for (const name of names) if ((await this.#checkpoint(id, name)) !== undefined) found.push(name);
    return found;
  }

  #checkpoint(id: string, name: string) {
    const args = { dom: reference(id), name, flags: 0 };
    return ifPresent("LIBVIRT_NO_DOMAIN_CHECKPOINT", () =>
      this.#libvirt.call(libvirt.domainCheckpointLookupByName, args),
    );
  }

  /** Deletes checkpoints, also of a guest that is off; their bitmaps stay in the files. */
  async drop(id: string, names: readonly string[]): Promise<void> {
    const flags = libvirt.DomainCheckpointDeleteFlags.METADATA_ONLY;
    for (const name of names) {
      const found = await this.#checkpoint(id, name);
      if (found === undefined) continue;
      const args = { checkpoint: found.checkpoint, flags };
      await ifPresent("LIBVIRT_NO_DOMAIN_CHECKPOINT", () =>
        this.#libvirt.call(libvirt.domainCheckpointDelete, args),
      );
    }
  }

  async #forget(id: string, name: string): Promise<boolean> {
    const found = await this.#checkpoint(id, name);
    if (found === undefined) return true;
    if (!isActive(await this.#reads.state(id))) return false;
    const { checkpoint } = found;
    const remove = (flags: number): Promise<unknown> =>
      ifPresent("LIBVIRT_NO_DOMAIN_CHECKPOINT", () =>
        this.#libvirt.call(libvirt.domainCheckpointDelete, { checkpoint, flags }, { lane: "slow" }),
      );
    try {
      await remove(0);
    } catch (thrown) {
      const { kind } = toSocleError(thrown);
      if (kind === "outcome_unknown" || kind === "unavailable" || kind === "timeout") throw thrown;
      if (!isActive(await this.#reads.state(id))) return false;
      // Its bitmap is lost, as after a crash of QEMU.
      await remove(libvirt.DomainCheckpointDeleteFlags.METADATA_ONLY);
    }
    return true;
  }

  /** Of the disk by its device. Throws `conflict` for a guest that is off. */
  async capacityBytes(id: string, device: string): Promise<number> {
    const args = { dom: reference(id), path: device, flags: 0 };
    return (await this.#libvirt.call(libvirt.domainGetBlockInfo, args)).capacity;
  }

  /** Until when a reader of this run's backup renewed its lease; undefined: never. */
  async leaseUntil(id: string): Promise<number | undefined> {
    const { uri } = leaseMark;
    const args = { dom: reference(id), type: libvirt.DomainMetadataType.ELEMENT, uri, flags: LIVE };
    try {
      return parseLease((await this.#libvirt.call(libvirt.domainGetMetadata, args, AHEAD)).metadata);
    } catch (thrown) {
      const { kind, reason } = toSocleError(thrown);
      if (kind === "conflict" || NO_LEASE.has(reason)) return undefined;
      throw thrown;
    }
  }

  /** Undefined: no lease any more. */
  async setLease(id: string, untilMs: number | undefined): Promise<void> {
    const args = {
      dom: reference(id),
      type: libvirt.DomainMetadataType.ELEMENT,
      metadata: untilMs === undefined ? null : buildLease(untilMs),
      key: leaseMark.key,
      uri: leaseMark.uri,
      flags: LIVE,
    };
    await this.#libvirt.call(libvirt.domainSetMetadata, args);
  }

  /** The devices whose writes wait for space, in a guest that QEMU paused for that. */
  async withoutSpace(id: string): Promise<ReadonlySet<string>> {
    const args = { dom: reference(id), maxerrors: MOST_DISKS, flags: 0 };
    const { errors } = await this.#libvirt.call(libvirt.domainGetDiskErrors, args);
    const { NO_SPACE } = libvirt.DomainDiskErrorCode;
    return new Set(errors.flatMap(({ disk, error }) => (error === NO_SPACE ? disk : [])));
  }

  /**
   * libvirt would wait for the other job until its deadline. Throws `conflict` DISK_BUSY if another client has a job on the domain,
   * and as `#hasJob`.
   */
  async #requireNoJob(id: string): Promise<void> {
    if (await this.#hasJob(id)) throw busy();
  }

  /** Throws `conflict` VM_JOB_STUCK for a job that libvirt does not know. */
  async #hasJob(id: string): Promise<boolean> {
    const hasJob = async (): Promise<boolean> => {
      const { type } = await this.#libvirt.call(libvirt.domainGetJobInfo, { dom: reference(id) });
      return type !== libvirt.DomainJobType.NONE;
    };
    return await hasJob()
      .catch(async (thrown: unknown) => {
        if (!isInternal(thrown)) throw thrown;
        // It may be QEMU's end, which libvirt shows a moment later.
        await this.#certainty.quiet();
        return await hasJob();
      })
      .catch((thrown: unknown) => {
        throw isInternal(thrown) ? jobStuck(toSocleError(thrown)) : thrown;
      });
  }

  /** libvirt's default for a disk that is not named is that it has a part. */
  async #devices(id: string): Promise<readonly string[]> {
    const document = await this.#reads.document(id, "running");
    return (document?.devices.disks ?? []).map(({ target }) => target.device);
  }
}

/** libvirt's bound on the answer. */
const MOST_DISKS = 256;

/** The errors for a bitmap, or a checkpoint, that is missing. */
const LOST: ReadonlySet<string> = new Set([
  "LIBVIRT_CHECKPOINT_INCONSISTENT",
  "LIBVIRT_NO_DOMAIN_CHECKPOINT",
]);
const NO_LEASE: ReadonlySet<string> = new Set([
  "LIBVIRT_NO_DOMAIN_METADATA",
  "LIBVIRT_NO_DOMAIN",
  "LIBVIRT_INVALID_ARG",
]);

const pulled = ({ device, exportName, scratch, secretUuid, since }: BackupSource): BackupDisk =>
  defined<BackupDisk>({
    name: device,
    mode: since === undefined ? "full" : "incremental",
    incremental: since,
    exportName,
    exportBitmap: since === undefined ? undefined : CHANGES,
    target: defined({
      type: "file",
      path: scratch,
      format: "qcow2",
      encryptionSecretUuid: secretUuid,
    } as const),
  });

const isInternal = (thrown: unknown): boolean => toSocleError(thrown).reason === "LIBVIRT_INTERNAL_ERROR";

const busy = (): SocleError =>
  new SocleError(
    "conflict",
    "DISK_BUSY",
    "another job of libvirt is running on the VM: wait for its end, or abort it (virsh domjobabort)",
  );
