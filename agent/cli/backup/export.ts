import { createHash, randomUUID } from "node:crypto";
import { SocleError } from "../../kernel/errors.ts";
import type { Backup__Output } from "../../gen/socle/v1/Backup.ts";
import type { BackupDisk__Output } from "../../gen/socle/v1/BackupDisk.ts";
import type { Vm__Output } from "../../gen/socle/v1/Vm.ts";
import { toMs } from "../format.ts";
import { toJson } from "../json.ts";
import type { Session } from "../session.ts";
import { BackupReader } from "./backup-reader.ts";
import { ByteProgress } from "./byte-progress.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import { fileImage } from "./file-image.ts";
import { MANIFEST, manifestOf, manifestText, type StoredBackup, type StoredDisk } from "./manifest.ts";
import { openBackup } from "./open-backup.ts";
import { readPassphrase } from "./passphrase.ts";
import { backupFileNames } from "./received-name.ts";
import { padding, tarEnd, tarHeader } from "./tar.ts";

export interface ExportOptions {
  readonly quiesce?: boolean;
  /** Encrypts the disks: needed for a VM with encrypted ones. */
  readonly passphraseFile?: string;
}

/**
 * Writes a VM as an archive: its disks as qcow2 images, and last the manifest with their digests, so that an archive that is
 * cut short has none. The chain of the VM's backups stays as it is.
 */
export async function exportVm(
  session: Session,
  name: string,
  { quiesce = false, passphraseFile }: ExportOptions,
  write: (chunks: AsyncIterable<Buffer>) => Promise<void>,
): Promise<StoredBackup> {
  const passphrase = passphraseFile === undefined ? undefined : await readPassphrase(passphraseFile);
  const agent = await session.agent();
  const vm = await agent.ask(agent.contract.vms.GetVm, { vm: name });
  const allowEncrypted = passphrase !== undefined;
  const of = { requestId: randomUUID(), vm: vm.vmId };
  const request = { ...of, disks: [], baseBackup: "", quiesce, allowEncrypted };
  return await openBackup(session, agent, { request }, async (backupId, { end }) => {
    const answer = await agent.ask(agent.contract.backups.GetBackup, { vm: vm.vmId, backupId });
    const backup = { ...answer, vmId: vm.vmId, backupId };
    const files = backupFileNames(backup.disks, backupId);
    const archive = new Archive(session, { vm, backup, files, passphrase });
    await write(archive);
    await end(false);
    return archive.stored;
  });
}

class Archive implements AsyncIterable<Buffer> {
  readonly #session: Session;
  readonly #vm: Vm__Output;
  readonly #backup: Backup__Output;
  /** In the order of its disks. */
  readonly #files: readonly string[];
  readonly #passphrase: Buffer | undefined;
  readonly #made: StoredDisk[] = [];

  constructor(
    session: Session,
    {
      vm,
      backup,
      files,
      passphrase,
    }: {
      readonly vm: Vm__Output;
      readonly backup: Backup__Output;
      readonly files: readonly string[];
      readonly passphrase: Buffer | undefined;
    },
  ) {
    this.#session = session;
    this.#vm = vm;
    this.#backup = backup;
    this.#files = files;
    this.#passphrase = passphrase;
  }

  get #createdMs(): number {
    return toMs(this.#backup.createdAt) ?? this.#session.nowMs();
  }

  get stored(): StoredBackup {
    const { backupId: id, quiesced } = this.#backup;
    const spec = toJson(this.#vm.spec ?? {}) as StoredBackup["spec"];
    return { id, createdAt: new Date(this.#createdMs).toISOString(), quiesced, spec, disks: this.#made };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    for (const [index, disk] of this.#backup.disks.entries()) {
      if (disk.incremental)
        throw new SocleError(
          "internal",
          "EXTENTS_INVALID",
          `the agent sends changes of disk ${disk.disk} alone`,
        );
      const reader = await BackupReader.open(this.#session, this.#backup, disk);
      try {
        yield* this.#disk(disk, reader, this.#files[index] ?? "");
      } finally {
        reader.close();
      }
    }
    const { vmId: id, name } = this.#vm;
    const manifest = Buffer.from(manifestText(manifestOf({ id, name }, [this.stored])));
    yield tarHeader(MANIFEST, manifest.length, this.#createdMs);
    yield manifest;
    yield padding(manifest.length);
    yield tarEnd();
  }

  async *#disk(
    { disk, capacityBytes }: BackupDisk__Output,
    reader: BackupReader,
    file: string,
  ): AsyncGenerator<Buffer, void, undefined> {
    const map = await reader.map(capacityBytes, false);
    const feed = new ClusterFeed(reader.pieces());
    const passphrase = this.#passphrase;
    const { chunks, sizeBytes, encryption } = await fileImage(map, (index) => feed.cluster(index), {
      passphrase,
    });
    const hash = createHash("sha256");
    const progress = new ByteProgress(this.#session, `export ${disk}`, sizeBytes);
    let isDone = false;
    try {
      yield tarHeader(file, sizeBytes, this.#createdMs);
      for await (const chunk of progress.count(chunks)) {
        hash.update(chunk);
        yield chunk;
      }
      await feed.finish();
      yield padding(sizeBytes);
      isDone = true;
    } finally {
      progress.end(isDone);
      await feed.close();
    }
    const sha256 = hash.digest("hex");
    this.#made.push({ disk, file, format: "qcow2", capacityBytes, ...encryption, sha256, sizeBytes });
  }
}
