import type { FileHandle } from "node:fs/promises";
import { SocleError } from "../../kernel/errors.ts";
import { codeOf } from "../../kernel/thrown.ts";
import { openPlain } from "./plain-file.ts";

/** Bytes that are read at any place: a file, or a part of one. */
export interface ByteSource {
  /** For messages. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Throws `invalid` BACKUP_DAMAGED if there are fewer. */
  read(position: number, length: number): Promise<Buffer>;
  close(): Promise<void>;
}

/** `readEntry`: of a directory, without following a link. Throws `invalid` FILE_UNREADABLE. */
export async function openFile(path: string, to: "read" | "readEntry" = "read"): Promise<ByteSource> {
  let handle: FileHandle;
  try {
    handle = await openPlain(path, to);
  } catch (cause) {
    if (cause instanceof SocleError) throw cause;
    const why = codeOf(cause) === "ENOENT" ? "there is no such file" : (codeOf(cause) ?? "");
    throw new SocleError("invalid", "FILE_UNREADABLE", `${path} cannot be read: ${why}`, { cause });
  }
  try {
    return sourceOf(path, handle, (await handle.stat()).size);
  } catch (thrown) {
    await handle.close();
    throw thrown;
  }
}

const sourceOf = (name: string, handle: FileHandle, sizeBytes: number): ByteSource => ({
  name,
  sizeBytes,
  async read(position, length) {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length;) {
      const { bytesRead } = await handle.read(bytes, at, length - at, position + at);
      if (bytesRead === 0) throw damaged(name, `it ends at ${position + at} bytes`);
      at += bytesRead;
    }
    return bytes;
  },
  close: () => handle.close(),
});

/** A part of a source, which it does not close. */
export const partOf = (whole: ByteSource, name: string, from: number, sizeBytes: number): ByteSource => ({
  name,
  sizeBytes,
  async read(position, length) {
    if (position + length > sizeBytes) throw damaged(name, `it ends at ${sizeBytes} bytes`);
    return await whole.read(from + position, length);
  },
  close: () => Promise.resolve(),
});

const CHUNK_BYTES = 128 * 1024;

/** All bytes of a source, in order. */
export async function* bytesOf(source: ByteSource): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < source.sizeBytes; at += CHUNK_BYTES)
    yield await source.read(at, Math.min(CHUNK_BYTES, source.sizeBytes - at));
}

export const damaged = (name: string, why: string): SocleError =>
  new SocleError(
    "invalid",
    "BACKUP_DAMAGED",
    `${name} is damaged: ${why}; take another copy or an older backup`,
  );
