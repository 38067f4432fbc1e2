import * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";

/** A member of a tar archive has at most 99 bytes. */
const MOST_CHARACTERS = 90;

/**
 * A name from another machine or a file: of a disk, a backup, or a file of a backup. It is one word of ASCII, so below a
 * directory it is neither a path nor hidden, and no option of a command.
 */
export const receivedName = z
  .string()
  .max(MOST_CHARACTERS)
  .regex(/^\w[\w.-]*$/, "is no plain name");

/** The file of a disk in a backup. Throws `internal` NAME_INVALID unless the agent's names make a plain one. */
export function backupFileName(disk: string, backupId: string): string {
  requirePlain("disk", disk);
  requirePlain("backup", backupId);
  return requirePlain("file", `${disk}.${backupId}.qcow2`);
}

/** As `backupFileName`, of all disks of a backup: no two have one name. */
export function backupFileNames(disks: readonly { readonly disk: string }[], backupId: string): string[] {
  const files = disks.map(({ disk }) => backupFileName(disk, backupId));
  const twice = files.find((file, index) => files.indexOf(file) < index);
  if (twice !== undefined) throw invalid(`the agent sends two files of the name ${twice}`);
  return files;
}

function requirePlain(what: string, name: string): string {
  if (receivedName.safeParse(name).success) return name;
  throw invalid(`the agent names a ${what} '${name.slice(0, MOST_CHARACTERS)}', which is no plain name`);
}

const invalid = (message: string): SocleError => new SocleError("internal", "NAME_INVALID", message);
