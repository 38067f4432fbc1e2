import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { codeOf, succeeds } from "../../kernel/thrown.ts";
import type { Backup__Output } from "../../gen/socle/v1/Backup.ts";
import type { BackupDisk__Output } from "../../gen/socle/v1/BackupDisk.ts";
import type { Vm__Output } from "../../gen/socle/v1/Vm.ts";
import type { Agent } from "../client.ts";
import { formatBytes, toMs } from "../format.ts";
import { toJson } from "../json.ts";
import type { Session } from "../session.ts";
import { BackupReader } from "./backup-reader.ts";
import {
  inDirectory,
  lacksFiles,
  openChain,
  removeLeftovers,
  requireSamePassphrase,
  writePart,
  type Written,
} from "./backup-directory.ts";
import { forgetBegun, noteBegun, readBegun, type BegunBackup } from "./begun-note.ts";
import { ByteProgress } from "./byte-progress.ts";
import { ClusterFeed } from "./cluster-feed.ts";
import { DirectoryLock } from "./directory-lock.ts";
import {
  chainOf,
  manifestOf,
  readManifest,
  writeManifest,
  type Manifest,
  type StoredBackup,
  type StoredDisk,
} from "./manifest.ts";
import { fileImage } from "./file-image.ts";
import { discardFiles, forgetParts, nameFiles, newFileOf, requireUnused, type NewFile } from "./new-files.ts";
import { readPassphrase } from "./passphrase.ts";
import { begunBy, isOpen, openBackup, type Ending } from "./open-backup.ts";
import { remark, succeed } from "./operation.ts";
import { backupFileNames } from "./received-name.ts";

export interface BackupOptions {
  readonly full?: boolean;
  readonly quiesce?: boolean;
  readonly disk?: readonly string[];
  /** Encrypts what is written: needed for a VM with encrypted disks. */
  readonly passphraseFile?: string;
}

export interface Taken {
  readonly backup: StoredBackup;
  /** Why it is no increment. */
  readonly fullBecause: string | undefined;
}

/** Adds a backup of a VM to a directory. Nothing of it stays if it fails, here or on the host. */
export async function takeBackup(
  session: Session,
  name: string,
  directory: string,
  options: BackupOptions,
): Promise<Taken> {
  const { disk = [], quiesce = false, passphraseFile } = options;
  const passphrase = passphraseFile === undefined ? undefined : await readPassphrase(passphraseFile);
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw new SocleError(
      "invalid",
      "DIRECTORY_UNUSABLE",
      `${directory} cannot be made: ${codeOf(cause) ?? ""}`,
      { cause },
    );
  });
  const agent = await session.agent();
  const vm = await agent.ask(agent.contract.vms.GetVm, { vm: name });
  const lock = await DirectoryLock.take(directory);
  try {
    const manifest = await readManifest(directory);
    if (manifest !== undefined && manifest.vm.id !== vm.vmId) throw ofAnother(directory, manifest);
    const begun = await readBegun(directory);
    const complete = await settleEarlier(session, agent, vm, manifest, begun);
    await removeLeftovers(directory, manifest, begun?.files ?? []);
    await forgetBegun(directory);
    const newest = manifest?.backups.at(-1);
    if (newest !== undefined && options.full !== true)
      await requireSamePassphrase(directory, newest, passphrase);
    const { base, fullBecause } = await baseOf(directory, manifest, complete, options);
    if (fullBecause !== undefined) remark(session, `full backup: ${fullBecause}`);
    const allowEncrypted = passphrase !== undefined;
    const of = { requestId: randomUUID(), vm: vm.vmId };
    const request = { ...of, disks: [...disk], baseBackup: base?.id ?? "", quiesce, allowEncrypted };
    await noteBegun(directory, { request });
    let files: readonly NewFile[] = [];
    const onOver = async (): Promise<void> => {
      const now = await readManifest(directory);
      // The note stays with a file that cannot be deleted: the next run deletes it.
      if (await succeeds(removeLeftovers(directory, now, files))) await forgetBegun(directory);
    };
    return await openBackup(session, agent, { request, onOver }, async (backupId, ending) => {
      await noteBegun(directory, { request, backupId });
      const answer = await agent.ask(agent.contract.backups.GetBackup, { vm: vm.vmId, backupId });
      const on = { ...answer, vmId: vm.vmId, backupId };
      const planned = newFilesOf(on, manifest);
      await requireUnused(directory, planned);
      await noteBegun(directory, { request, backupId, files: planned });
      files = planned;
      const spec = toJson(vm.spec ?? {}) as StoredBackup["spec"];
      const reading = { vm, on, files, directory, manifest, spec, passphrase, ending };
      return { backup: await read(session, reading), fullBecause };
    });
  } finally {
    await lock.release();
  }
}

/**
 * Ends what an earlier run left open: with success if its manifest is durable. Returns the newest backup that is complete
 * on the host.
 */
async function settleEarlier(
  session: Session,
  agent: Agent,
  { vmId: vm }: Vm__Output,
  manifest: Manifest | undefined,
  begun: BegunBackup | undefined,
): Promise<Backup__Output | undefined> {
  const newest = manifest?.backups.at(-1)?.id;
  const found = begun?.backupId ?? (begun && (await begunBy(session, agent, begun.request)));
  const left = [
    { vm: begun?.request.vm ?? vm, backupId: found },
    { vm, backupId: newest },
  ];
  for (const { vm: of, backupId } of left) {
    if (backupId === undefined || !(await isOpen(agent, of, backupId))) continue;
    remark(session, `ending backup ${backupId}, which an earlier run left open`);
    const finish = { vm: of, backupId, success: backupId === newest };
    await succeed(session, agent, (contract) => contract.backups.FinishBackup, finish);
  }
  const { backups } = await agent.ask(agent.contract.backups.ListBackups, { vm });
  return backups.find(({ state }) => state === "BACKUP_STATE_COMPLETE");
}

/** The backup to go on from, or why there is none. */
async function baseOf(
  directory: string,
  manifest: Manifest | undefined,
  complete: Backup__Output | undefined,
  { full = false, passphraseFile }: BackupOptions,
): Promise<{ base?: StoredBackup; fullBecause?: string }> {
  if (full) return { fullBecause: "--full" };
  const newest = manifest?.backups.at(-1);
  if (manifest === undefined || newest === undefined)
    return { fullBecause: "the directory has no backup yet" };
  if (complete === undefined) return { fullBecause: "the host has no complete backup to go on from" };
  if (complete.backupId !== newest.id)
    return {
      fullBecause: `the newest of the host is ${complete.backupId}, and that of the directory ${newest.id}`,
    };
  const chains = newest.disks.flatMap((disk) => chainOf(manifest, disk));
  if (passphraseFile !== undefined && chains.some(({ encryption }) => encryption === undefined))
    return { fullBecause: "the newest of the directory is in clear" };
  const lacking = await lacksFiles(directory, chains);
  return lacking === undefined ? { base: newest } : { fullBecause: lacking };
}

/** Throws `internal` NAME_INVALID for what the agent may not name. */
function newFilesOf({ disks, backupId }: Backup__Output, manifest: Manifest | undefined): readonly NewFile[] {
  const files = backupFileNames(disks, backupId).map(newFileOf);
  if (manifest?.backups.some(({ id }) => id === backupId) !== true) return files;
  const message = `the agent begins backup ${backupId} again, which the directory has: take the next one into another directory`;
  throw new SocleError("internal", "NAME_INVALID", message);
}

interface Reading {
  readonly vm: Vm__Output;
  readonly on: Backup__Output;
  /** In the order of its disks. */
  readonly files: readonly NewFile[];
  readonly directory: string;
  readonly manifest: Manifest | undefined;
  readonly spec: StoredBackup["spec"];
  readonly passphrase: Buffer | undefined;
  readonly ending: Ending;
}

/** Reads all disks, makes the files and the manifest durable, and ends the backup with success. */
async function read(session: Session, reading: Reading): Promise<StoredBackup> {
  const { vm, on: backup, files, directory, manifest, spec, ending } = reading;
  const { backupId } = backup;
  const made: StoredDisk[] = [];
  try {
    for (const [index, disk] of backup.disks.entries()) {
      const file = files[index];
      if (file !== undefined) made.push(await readDisk(session, reading, disk, file));
    }
    await nameFiles(directory, files);
    const stored: StoredBackup = {
      id: backupId,
      createdAt: new Date(toMs(backup.createdAt) ?? session.nowMs()).toISOString(),
      quiesced: backup.quiesced,
      spec,
      disks: made,
    };
    if (session.interrupt.aborted) throw new SocleError("cancelled", "INTERRUPTED", "interrupted");
    const all = manifestOf({ id: vm.vmId, name: vm.name }, [...(manifest?.backups ?? []), stored]);
    await writeManifest(directory, all);
    ending.keepOpen();
    await forgetParts(directory, files);
    await finish(ending);
    return stored;
  } catch (thrown) {
    const isKept = (await readManifest(directory))?.backups.some(({ id }) => id === backupId) === true;
    if (isKept) throw toSocleError(thrown);
    await discardFiles(directory, files).catch(() => undefined);
    throw thrown;
  }
}

async function readDisk(
  session: Session,
  { on: backup, directory, manifest, passphrase }: Reading,
  ofBackup: BackupDisk__Output,
  { file, part }: NewFile,
): Promise<StoredDisk> {
  const { disk, capacityBytes, incremental, fullReason } = ofBackup;
  const below = incremental ? manifest?.backups.at(-1)?.disks.find((each) => each.disk === disk) : undefined;
  if (incremental && (below === undefined || manifest === undefined))
    throw new SocleError(
      "internal",
      "EXTENTS_INVALID",
      `the agent sends changes of disk ${disk}, which is not in the base`,
    );
  if (fullReason !== "") remark(session, `disk ${disk} is full: ${fullReason}`);
  const chain =
    below === undefined || manifest === undefined
      ? undefined
      : await openChain(inDirectory(directory), chainOf(manifest, below), passphrase);
  let reader: BackupReader | undefined;
  try {
    reader = await BackupReader.open(session, backup, ofBackup);
    const map = await reader.map(capacityBytes, incremental);
    const feed = new ClusterFeed(reader.pieces(), chain && ((offset, length) => chain.read(offset, length)));
    const backing = below && ({ file: below.file, format: "qcow2" } as const);
    const { chunks, sizeBytes, encryption } = await fileImage(map, (index) => feed.cluster(index), {
      backing,
      passphrase,
    });
    const write = async (progress: ByteProgress): Promise<Written> => {
      try {
        const result = await writePart(directory, part, progress.count(chunks));
        await feed.finish();
        return result;
      } finally {
        await feed.close();
      }
    };
    const written = await shown(session, `${disk} to ${file}`, sizeBytes, write);
    return {
      disk,
      file,
      format: "qcow2",
      capacityBytes,
      ...(below && { base: below.file }),
      ...encryption,
      ...written,
    };
  } finally {
    reader?.close();
    await chain?.close();
  }
}

async function shown<T>(
  session: Session,
  what: string,
  sizeBytes: number,
  work: (progress: ByteProgress) => Promise<T>,
): Promise<T> {
  const progress = new ByteProgress(session, what, sizeBytes);
  let isDone = false;
  try {
    const result = await work(progress);
    isDone = true;
    return result;
  } finally {
    progress.end(isDone);
  }
}

/** The files are durable already: without this answer they stay, and the next run repeats it. */
async function finish({ end }: Ending): Promise<void> {
  try {
    await end(true);
  } catch (thrown) {
    const error = toSocleError(thrown);
    throw new SocleError(
      error.kind,
      error.reason,
      `the backup is whole in its directory, but the host may not know it, so that the next one may be full: ${error.message}`,
      { cause: thrown, details: error.details },
    );
  }
}

function ofAnother(directory: string, { vm }: Manifest): SocleError {
  const message = `${directory} has backups of VM ${vm.name} (${vm.id}): use another directory for each VM`;
  return new SocleError("conflict", "BACKUP_OF_ANOTHER_VM", message);
}

export const summaryOf = ({ disks }: StoredBackup): string => {
  const bytes = disks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return `${disks.length} ${disks.length === 1 ? "disk" : "disks"}, ${formatBytes(bytes)}`;
};
