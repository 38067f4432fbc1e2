import { open, rename, rm, symlink, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";

/** Makes the names in a directory durable: a rename is only safe from a power cut after this. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Writes all of `bytes` at `position`; a short write goes on where it stopped. */
export async function writeFully(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Replaces the file as a whole: after any crash it is either the old or the new one, never a part. Mode 0600. */
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
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

/**
 * Makes `path` a symbolic link that says `text`, as replaceFile does a file. Filesystems keep a short one (59 bytes) in its
 * inode: what must be written can still be where not a byte of a file finds room.
 */
export async function replaceLink(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  await symlink(text, temporary);
  await rename(temporary, path);
  await syncDirectory(dirname(path));
}

export const isFullDisk = (thrown: unknown): boolean =>
  thrown instanceof Error && "code" in thrown && (thrown.code === "ENOSPC" || thrown.code === "EDQUOT");
