import { stat, type FileHandle } from "node:fs/promises";
import { isFullDisk, UncertainWrite, writeFully } from "./durable-file.ts";
import { toError } from "../../kernel/thrown.ts";

/** The path no longer names the file that this process has open: it was deleted, moved or replaced. */
export class FileLost extends Error {
  constructor(path: string, cause?: unknown) {
    super(`${path} was deleted, moved or replaced while the agent ran`, { cause });
    this.name = "FileLost";
  }
}

export const isFileLost = (thrown: unknown): boolean =>
  thrown instanceof FileLost || (thrown instanceof Error && thrown.cause instanceof FileLost);

export const changesRefused = "changes are refused, reads and guests go on";

/** The message for a lost file. */
export const stateLost = (what: string): string =>
  `${what} was deleted, moved or replaced while the agent ran: ${changesRefused}; put the state ` +
  "directory back as it was, or restore it from a backup, then restart the agent";

interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

/** Cached: an open handle keeps its inode, and the inode number is not reused meanwhile. */
const identities = new WeakMap<FileHandle, FileIdentity>();

async function identityOf(file: FileHandle): Promise<FileIdentity> {
  const { dev, ino } = await file.stat();
  identities.set(file, { dev, ino });
  return { dev, ino };
}

/** Throws FileLost if `path` names another file than `file`, or none. */
export async function requireSameFile(path: string, file: FileHandle): Promise<void> {
  const held = identities.get(file) ?? (await identityOf(file));
  let found: FileIdentity;
  try {
    found = await stat(path);
  } catch (thrown) {
    throw new FileLost(path, thrown);
  }
  if (found.dev !== held.dev || found.ino !== held.ino) throw new FileLost(path);
}

/**
 * Call it for data behind the last sync before acting on that data: it may only be in the kernel's memory, marked as
 * written by a failed sync. Writing it again puts it on the disk, or fails.
 */
export async function writeAgain(file: FileHandle, from: number, to: number): Promise<void> {
  const bytes = Buffer.alloc(Math.max(0, to - from));
  const { bytesRead } = await file.read(bytes, 0, bytes.length, from);
  try {
    await writeFully(file, bytes.subarray(0, bytesRead), from);
    await file.datasync();
  } catch (thrown) {
    // Copy-on-write filesystems may find no space: the next append is refused then.
    if (!isFullDisk(thrown)) throw thrown;
  }
}

/**
 * A file that grows at its end. Before append() throws, a failed append is cut off durably: no later reader finds what
 * was refused. If that is uncertain, append() throws UncertainWrite.
 */
export class AppendFile {
  readonly path: string;
  readonly #file: FileHandle;
  #bytes: number;
  #syncedBytes: number;
  #cutBytes = 0;
  #failure: Error | undefined;

  /** `bytes`: the file's length, which is durable. */
  constructor(path: string, file: FileHandle, bytes: number) {
    this.path = path;
    this.#file = file;
    this.#bytes = bytes;
    this.#syncedBytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The file is on the disk up to here. */
  get syncedBytes(): number {
    return this.#syncedBytes;
  }

  /** Bytes of the last failed append before they were cut off: a copy made meanwhile has them. */
  get cutBytes(): number {
    return this.#cutBytes;
  }

  /** The file takes no more appends. */
  get isFailed(): boolean {
    return this.#failure !== undefined;
  }

  /**
   * Durable when it resolves with `sync`, and the path still names this file then. Throws UncertainWrite, or the cause
   * if `bytes` will never be read. Appends continue only after a write that found no space: after a failed sync the
   * kernel may have dropped pages, and the next sync could succeed without them.
   */
  async append(bytes: Buffer, sync: boolean): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    let isWritten = false;
    try {
      if (sync) await this.requireSame();
      await writeFully(this.#file, bytes, this.#bytes);
      isWritten = true;
      if (sync) {
        await this.#file.datasync();
        await this.requireSame();
      }
    } catch (thrown) {
      const cause = toError(thrown);
      if (isWritten || !isFullDisk(cause)) this.#failure = cause;
      this.#cutBytes = isWritten ? bytes.length : 0;
      await this.#cut(isWritten ? this.#syncedBytes : this.#bytes, cause);
      // The file at the path now may be a copy of what was written.
      if (isWritten && isFileLost(cause)) throw new UncertainWrite(this.path, cause);
      throw cause;
    }
    this.#bytes += bytes.length;
    if (sync) this.#syncedBytes = this.#bytes;
  }

  async #cut(length: number, cause: Error): Promise<void> {
    try {
      const excessBytes = (await this.#file.stat()).size - length;
      this.#cutBytes = Math.max(this.#cutBytes, excessBytes);
      // Without written bytes nothing is cut: a disk that takes no write would refuse it.
      if (excessBytes > 0) {
        await this.#file.truncate(length);
        await this.#file.datasync();
      }
      this.#bytes = length;
    } catch {
      this.#failure = cause;
      throw new UncertainWrite(this.path, cause);
    }
  }

  /** Takes no more appends from now on. */
  fail(cause: Error): void {
    this.#failure ??= cause;
  }

  /** Throws FileLost if the path names another file by now. */
  requireSame(): Promise<void> {
    return requireSameFile(this.path, this.#file);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
