import { rm } from "node:fs/promises";
import { join } from "node:path";
import * as z from "../../kernel/zod.ts";
import { parseJson } from "../../kernel/text/json.ts";
import { newFile } from "./new-files.ts";
import { readPlain, writeDurably } from "./plain-file.ts";

const NOTE = "backup.begun";

const schema = z.object({
  /** Repeated as it is, it has the operation that it began. */
  request: z.object({
    requestId: z.string(),
    vm: z.string(),
    disks: z.array(z.string()),
    baseBackup: z.string(),
    quiesce: z.boolean(),
    allowEncrypted: z.boolean(),
  }),
  /** Absent: its answer has not come. */
  backupId: z.string().exactOptional(),
  /** What it writes. Absent: nothing yet. */
  files: z.array(newFile).readonly().exactOptional(),
});

/** A backup into a directory that may be open on its host. */
export type BegunBackup = z.output<typeof schema>;

/** Undefined: there is none, or it is damaged. Throws `invalid` FILE_UNREADABLE. */
export async function readBegun(directory: string): Promise<BegunBackup | undefined> {
  return schema.safeParse(parseJson((await readPlain(join(directory, NOTE))) ?? "")).data;
}

/** To be called before the request is sent, and before there is a file of its backup. */
export const noteBegun = (directory: string, begun: BegunBackup): Promise<void> =>
  writeDurably(join(directory, NOTE), `${JSON.stringify(begun)}\n`);

export async function forgetBegun(directory: string): Promise<void> {
  for (const name of [NOTE, `${NOTE}.part`]) await rm(join(directory, name), { force: true });
}
