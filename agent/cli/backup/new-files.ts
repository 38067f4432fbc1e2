import { randomUUID } from "node:crypto";
import { link, lstat, rm } from "node:fs/promises";
import { join } from "node:path";
import * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";
import { codeOf } from "../../kernel/thrown.ts";
import { syncDirectory } from "./plain-file.ts";
import { receivedName } from "./received-name.ts";

const PART = /^socle-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.part$/;

export const newFile = z.object({
  /** Its name once it is whole. The agent has a part in it. */
  file: receivedName,
  /** Its first name. It is random and noted before the file exists: no other program has a file of this name. */
  part: z.string().regex(PART),
});

/**
 * A file that a backup makes. It keeps its first name until the manifest is durable, so that the two names of one inode
 * prove that the file is of this backup. Without the proof nothing is deleted.
 */
export type NewFile = z.output<typeof newFile>;

export const newFileOf = (file: string): NewFile => ({ file, part: `socle-${randomUUID()}.part` });

/** Throws `conflict` BACKUP_FILE_EXISTS for a name that is taken. */
export async function requireUnused(directory: string, files: readonly NewFile[]): Promise<void> {
  for (const { file } of files)
    if ((await inodeOf(join(directory, file))) !== undefined) throw exists(directory, file);
}

/** Gives whole files their names, durably. Never replaces a file: throws as `requireUnused`. */
export async function nameFiles(directory: string, files: readonly NewFile[]): Promise<void> {
  for (const { file, part } of files)
    try {
      await link(join(directory, part), join(directory, file));
    } catch (thrown) {
      if (codeOf(thrown) !== "EEXIST") throw thrown;
      // A network file system may repeat the call.
      if (!(await areOneFile(directory, { file, part }))) throw exists(directory, file);
    }
  await syncDirectory(directory);
}

/** For files that the manifest names. */
export async function forgetParts(directory: string, files: readonly NewFile[]): Promise<void> {
  for (const { part } of files) await rm(join(directory, part), { force: true });
  await syncDirectory(directory);
}

/** Deletes the files of a backup that no manifest names. */
export async function discardFiles(directory: string, files: readonly NewFile[]): Promise<void> {
  for (const { file, part } of files) {
    if (await areOneFile(directory, { file, part })) await rm(join(directory, file), { force: true });
    await rm(join(directory, part), { force: true });
  }
}

async function areOneFile(directory: string, { file, part }: NewFile): Promise<boolean> {
  const [named, first] = [await inodeOf(join(directory, file)), await inodeOf(join(directory, part))];
  return named !== undefined && named === first;
}

/** Undefined: there is nothing of this name. */
async function inodeOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await lstat(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return undefined;
    throw thrown;
  }
}

const exists = (directory: string, file: string): SocleError =>
  new SocleError(
    "conflict",
    "BACKUP_FILE_EXISTS",
    `${file} exists already in ${directory}, and this backup did not write it: move it away, or use another directory`,
  );
