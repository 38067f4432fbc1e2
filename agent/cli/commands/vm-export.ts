import { once } from "node:events";
import { rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { PieceWriter } from "../backup/piece-writer.ts";
import { openPlain, syncDirectory } from "../backup/plain-file.ts";
import { parseManifest, MANIFEST } from "../backup/manifest.ts";
import { damaged, openFile } from "../backup/byte-source.ts";
import { exportVm as exported, type ExportOptions } from "../backup/export.ts";
import { summaryOf } from "../backup/take-backup.ts";
import { readTar } from "../backup/tar.ts";
import { usageError } from "../errors.ts";
import { printable } from "../format.ts";
import type { Command, Session } from "../session.ts";
import { makeVm, type Options } from "./vm-restore.ts";

export const exportVm: Command = async (session, [vm = "", file = ""], options: ExportOptions) => {
  const isPiped = file === "-";
  if (isPiped && session.json) throw usageError("the archive goes to stdout (-): leave out --json");
  if (isPiped && session.io.isTTY) throw usageError("the archive goes to stdout (-): redirect it");
  const write = isPiped ? toStdout(session) : toFile(file);
  const backup = await exported(session, vm, options, write);
  const line = `export VM ${printable(vm)}: done, ${summaryOf(backup)}`;
  if (isPiped) session.note(line);
  else session.show({ file, backup }, () => `${line}\n`);
  return undefined;
};

const toStdout =
  (session: Session) =>
  async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    // A chunk is another's buffer, and the stream may keep it.
    for await (const chunk of chunks)
      if (!session.io.stdout.write(Buffer.from(chunk)))
        await once(session.io.stdout, "drain", { signal: session.interrupt });
  };

/** The file has its name once it is whole and durable. */
const toFile =
  (file: string) =>
  async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    const part = `${file}.part`;
    const found = await stat(file).catch(() => undefined);
    if (found?.isFile() === false) throw usageError(`${file} is no file: give a new name, or - for stdout`);
    const handle = await openPlain(part, "write");
    const pieces = new PieceWriter(handle);
    try {
      for await (const chunk of chunks) await pieces.add(chunk);
      await pieces.end();
      await handle.sync();
      await handle.close();
      await rename(part, file);
      await syncDirectory(dirname(file));
    } catch (thrown) {
      await pieces.idle();
      await handle.close().catch(() => undefined);
      await rm(part, { force: true });
      throw thrown;
    }
  };

export const importVm: Command = async (session, [file = ""], options: Options) => {
  if (file === "-") throw usageError("an import reads the archive more than once: give a file");
  const archive = await openFile(file);
  try {
    const files = await readTar(archive);
    const found = files.get(MANIFEST);
    if (found === undefined || found.sizeBytes > MOST_MANIFEST_BYTES)
      throw damaged(file, `it has no ${MANIFEST}`);
    const manifest = parseManifest((await found.read(0, found.sizeBytes)).toString("utf8"), file);
    const openSource = (name: string) => {
      const source = files.get(name);
      return source === undefined
        ? Promise.reject(damaged(file, `there is no ${name} in it`))
        : Promise.resolve(source);
    };
    await makeVm(session, { manifest, openSource }, options);
  } finally {
    await archive.close();
  }
  return undefined;
};

const MOST_MANIFEST_BYTES = 16 * 1024 * 1024;
