import { access, open, rename, rm, symlink, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf, messageOf, succeeds } from "../../kernel/thrown.ts";

/** Makes the names in a directory durable: a rename is only safe from a power cut after this. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Writes all of `bytes` at `position`, also after short writes. */
export async function writeFully(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** A write failed after a partial effect: a restart may or may not read it back. */
export class UncertainWrite extends Error {
  readonly code: string | undefined;

  constructor(path: string, cause: unknown) {
    const why = messageOf(cause);
    super(`${why}; what was written to ${path} could not be taken back`, { cause });
    this.name = "UncertainWrite";
    this.code = codeOf(cause);
  }
}

/**
 * Replaces the file as a whole: after any crash it is either the old or the new one, never a part. Mode 0600. Throws
 * UncertainWrite if the new one is in place but may not be durable; after other errors it is the old one.
 */
export async function replaceFile(path: string, bytes: Buffer): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await writeFully(file, bytes, 0);
    await file.datasync();
  } catch (thrown) {
    await file.close();
    await rm(temporary, { force: true });
    throw thrown;
  }
  await file.close();
  await putInPlace(temporary, path);
}

async function putInPlace(temporary: string, path: string): Promise<void> {
  await rename(temporary, path);
  try {
    await syncDirectory(dirname(path));
  } catch (thrown) {
    throw new UncertainWrite(path, thrown);
  }
}

/**
 * Makes `path` a symbolic link to `text`, atomically as replaceFile. Filesystems keep a short link (59 bytes) in its
 * inode: it can be written on a disk without space for any file.
 */
export async function replaceLink(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  try {
    await symlink(text, temporary);
  } catch (thrown) {
    if (codeOf(thrown) !== "EEXIST") throw thrown;
    // A process that ended before its rename may have left it.
    await rm(temporary, { force: true });
    await symlink(text, temporary);
  }
  await putInPlace(temporary, path);
}

export const exists = (path: string): Promise<boolean> => succeeds(access(path));

export const isFullDisk = (thrown: unknown): boolean => {
  const code = codeOf(thrown);
  return code === "ENOSPC" || code === "EDQUOT";
};

export const isMissing = (thrown: unknown): boolean => codeOf(thrown) === "ENOENT";
