import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { SocleError } from "../../kernel/errors.ts";

const { O_RDONLY, O_WRONLY, O_CREAT, O_TRUNC, O_NONBLOCK, O_NOFOLLOW } = constants;
/** Without O_NONBLOCK the open of a FIFO waits for another process. */
const FLAGS = {
  read: O_RDONLY | O_NONBLOCK,
  write: O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_NOFOLLOW,
} as const;

/** Opens a file, to write also a new one. Throws `invalid` FILE_UNREADABLE for what is no file, and as `open`. */
export async function openPlain(path: string, to: keyof typeof FLAGS): Promise<FileHandle> {
  const handle = await open(path, FLAGS[to], 0o600);
  try {
    if ((await handle.stat()).isFile()) return handle;
    throw noFile(path);
  } catch (thrown) {
    await handle.close();
    throw thrown;
  }
}

export const noFile = (path: string): SocleError =>
  new SocleError("invalid", "FILE_UNREADABLE", `${path} is no file`);
