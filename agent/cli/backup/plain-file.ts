import { constants } from "node:fs";
import { open, rename, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { SocleError } from "../../kernel/errors.ts";
import { codeOf } from "../../kernel/thrown.ts";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NONBLOCK, O_NOFOLLOW } = constants;
/** Without O_NONBLOCK the open of a FIFO waits for another process. */
const FLAGS = {
  read: O_RDONLY | O_NONBLOCK,
  /** A file of a directory, by a name that others may have put there. */
  readEntry: O_RDONLY | O_NONBLOCK | O_NOFOLLOW,
  /** A new file, or one whose only name this is, which becomes empty. */
  write: O_WRONLY | O_CREAT | O_NONBLOCK | O_NOFOLLOW,
  create: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
} as const;

/** Opens a file. Throws `invalid` FILE_UNREADABLE for what is no file, and as `open`. */
export async function openPlain(path: string, to: keyof typeof FLAGS): Promise<FileHandle> {
  const handle = await open(path, FLAGS[to], 0o600).catch((thrown: unknown) => {
    if (to === "readEntry" && codeOf(thrown) === "ELOOP")
      throw noFile(path, "is a link, which is not followed");
    throw thrown;
  });
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw noFile(path);
    if (to === "write") {
      if (found.nlink !== 1) throw noFile(path, "has another name too (a hard link)");
      await handle.truncate();
    }
    return handle;
  } catch (thrown) {
    await handle.close();
    throw thrown;
  }
}

/** Undefined: there is no file. Follows no link. Throws `invalid` FILE_UNREADABLE. */
export async function readPlain(path: string): Promise<string | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await openPlain(path, "readEntry");
    return await handle.readFile("utf8");
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined;
    if (cause instanceof SocleError) throw cause;
    throw new SocleError("invalid", "FILE_UNREADABLE", `${path} cannot be read: ${codeOf(cause) ?? ""}`, {
      cause,
    });
  } finally {
    await handle?.close();
  }
}

/** The file is whole and durable, or as before. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await openPlain(`${path}.part`, "write");
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${path}.part`, path);
  await syncDirectory(dirname(path));
}

export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const noFile = (path: string, why = "is no file"): SocleError =>
  new SocleError("invalid", "FILE_UNREADABLE", `${path} ${why}`);
