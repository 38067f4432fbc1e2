import { SocleError } from "../../kernel/errors.ts";
import { codeOf } from "../../kernel/thrown.ts";
import { openPlain } from "./plain-file.ts";

const LEAST_BYTES = 8;
const MOST_BYTES = 1024;

/**
 * The passphrase of a backup's files: all bytes of the file, as qemu-img reads it. Throws `invalid` PASSPHRASE_UNUSABLE and
 * FILE_UNREADABLE.
 */
export async function readPassphrase(path: string): Promise<Buffer> {
  const handle = await openPlain(path, "read").catch((cause: unknown) => {
    if (cause instanceof SocleError) throw cause;
    const message = `${path} cannot be read: ${codeOf(cause) ?? ""}`;
    throw new SocleError("invalid", "FILE_UNREADABLE", message, { cause });
  });
  try {
    const { mode, size } = await handle.stat();
    if ((mode & 0o077) !== 0) throw unusable(path, "other users than its owner may read it: chmod 600");
    if (size > MOST_BYTES) throw unusable(path, `it has more than ${MOST_BYTES} bytes`);
    const bytes = await handle.readFile();
    if (bytes.includes(0) || !isUtf8(bytes))
      throw unusable(path, "QEMU takes only text: openssl rand -base64 32 makes one");
    // A variable that is not set leaves the end of a line.
    if (Buffer.byteLength(bytes.toString("utf8").trim()) < LEAST_BYTES)
      throw unusable(path, `it has fewer than ${LEAST_BYTES} bytes besides spaces and line ends`);
    return bytes;
  } finally {
    await handle.close();
  }
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString("utf8"), "utf8").equals(bytes);
}

const unusable = (path: string, why: string): SocleError =>
  new SocleError("invalid", "PASSPHRASE_UNUSABLE", `the passphrase in ${path} cannot be used: ${why}`);

export const passphraseMissing = (file: string): SocleError =>
  new SocleError(
    "invalid",
    "PASSPHRASE_MISSING",
    `${file} is encrypted: name the file with its passphrase (--passphrase-file)`,
  );

export const passphraseWrong = (file: string): SocleError =>
  new SocleError(
    "invalid",
    "PASSPHRASE_WRONG",
    `${file} does not open with this passphrase: give the one that it was written with`,
  );
