import { createHash } from "node:crypto";
import { lstat, rm } from "node:fs/promises";
import { join } from "node:path";
import { SocleError } from "../../kernel/errors.ts";
import { damaged, openFile, type ByteSource } from "./byte-source.ts";
import { DigestThread } from "./digest-thread.ts";
import { MANIFEST, type Manifest, type StoredBackup, type StoredDisk } from "./manifest.ts";
import { discardFiles, forgetParts, type NewFile } from "./new-files.ts";
import { passphraseMissing } from "./passphrase.ts";
import { PieceWriter } from "./piece-writer.ts";
import { openPlain } from "./plain-file.ts";
import { Qcow2Chain, Qcow2File } from "./qcow2-file.ts";

/** Opens a file of a backup by its name. */
export type OpenSource = (file: string) => Promise<ByteSource>;

/** Follows no link. */
export const inDirectory =
  (directory: string): OpenSource =>
  (file) =>
    openFile(join(directory, file), "readEntry");

export interface Written {
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** Writes a new file durably. */
export async function writePart(
  directory: string,
  part: string,
  chunks: AsyncIterable<Buffer>,
): Promise<Written> {
  const handle = await openPlain(join(directory, part), "create");
  const digest = new DigestThread();
  const pieces = new PieceWriter(handle, (piece) => digest.add(piece));
  try {
    for await (const chunk of chunks) await pieces.add(chunk);
    await pieces.end();
    await handle.sync();
    return { sha256: await digest.end(), sizeBytes: pieces.sizeBytes };
  } finally {
    await pieces.idle();
    await digest.close();
    await handle.close();
  }
}

/**
 * Deletes what a backup left that did not end, by its note alone: the names in a directory prove nothing. What the manifest
 * names stays.
 */
export async function removeLeftovers(
  directory: string,
  manifest: Manifest | undefined,
  left: readonly NewFile[],
): Promise<void> {
  const known = new Set(manifest?.backups.flatMap(({ disks }) => disks.map(({ file }) => file)));
  await forgetParts(
    directory,
    left.filter(({ file }) => known.has(file)),
  );
  await discardFiles(
    directory,
    left.filter(({ file }) => !known.has(file)),
  );
  await rm(join(directory, `${MANIFEST}.part`), { force: true });
}

/** Why a backup cannot go on from these files; undefined: it can. */
export async function lacksFiles(
  directory: string,
  files: readonly StoredDisk[],
): Promise<string | undefined> {
  for (const { file, sizeBytes } of files) {
    const found = await lstat(join(directory, file)).catch(() => undefined);
    if (found === undefined) return `there is no ${file}`;
    if (!found.isFile()) return `${file} is no file`;
    if (found.size !== sizeBytes) return `${file} has ${found.size} bytes in place of ${sizeBytes}`;
  }
  return undefined;
}

/** The images of a disk, as the manifest has them. Throws `invalid` BACKUP_DAMAGED. */
export async function openChain(
  openSource: OpenSource,
  chain: readonly StoredDisk[],
  passphrase?: Buffer,
): Promise<Qcow2Chain> {
  const files: Qcow2File[] = [];
  try {
    for (const { file, base, capacityBytes, encryption } of chain) {
      const source = await openSource(file);
      const opened = await Qcow2File.open(source, passphrase).catch(async (thrown: unknown) => {
        await source.close();
        throw thrown;
      });
      files.push(opened);
      if (opened.backing !== base)
        throw damaged(
          file,
          `the image below it is ${opened.backing ?? "none"}, and the manifest says ${base ?? "none"}`,
        );
      if (opened.isEncrypted !== (encryption !== undefined))
        throw damaged(file, `it is ${opened.isEncrypted ? "" : "not "}encrypted, other than in the manifest`);
      if (opened.capacityBytes !== capacityBytes)
        throw damaged(file, "its disk has another size than in the manifest");
    }
    return new Qcow2Chain(files);
  } catch (thrown) {
    for (const file of files) await file.close();
    throw thrown;
  }
}

/** Throws, before anything is done, as `Qcow2File.unlock` for the files themselves, not for those below. */
export async function requireReadable(
  openSource: OpenSource,
  files: readonly StoredDisk[],
  passphrase: Buffer | undefined,
): Promise<void> {
  for (const file of files) {
    const chain = await openChain(openSource, [file], passphrase);
    try {
      await chain.unlock();
    } finally {
      await chain.close();
    }
  }
}

/** Also where the next backup is full, as without its base. Throws as `requireReadable`, of the files that are whole. */
export async function requireSamePassphrase(
  directory: string,
  { disks }: StoredBackup,
  passphrase: Buffer | undefined,
): Promise<void> {
  const encrypted = disks.find(({ encryption }) => encryption !== undefined);
  if (encrypted !== undefined && passphrase === undefined) throw passphraseMissing(encrypted.file);
  for (const disk of disks)
    if ((await lacksFiles(directory, [disk])) === undefined)
      await requireReadable(inDirectory(directory), [disk], passphrase);
}

/** Reads a file whole. Throws `invalid` BACKUP_DAMAGED unless it is as it was written. */
export async function verifyFile(
  openSource: OpenSource,
  { file, sha256, sizeBytes }: StoredDisk,
  passed: (bytes: number) => void,
  interrupt: AbortSignal,
): Promise<void> {
  const source = await openSource(file);
  try {
    if (source.sizeBytes !== sizeBytes)
      throw damaged(file, `it has ${source.sizeBytes} bytes in place of ${sizeBytes}`);
    const hash = createHash("sha256");
    for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) {
      if (interrupt.aborted) throw new SocleError("cancelled", "INTERRUPTED", "interrupted");
      const chunk = await source.read(at, Math.min(CHUNK_BYTES, sizeBytes - at));
      hash.update(chunk);
      passed(chunk.length);
    }
    const found = hash.digest("hex");
    if (found !== sha256) throw damaged(file, `its SHA-256 is ${found}, and was ${sha256}`);
  } finally {
    await source.close();
  }
}

const CHUNK_BYTES = 1024 * 1024;
