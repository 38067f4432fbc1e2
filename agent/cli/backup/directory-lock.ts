import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import * as z from "../../kernel/zod.ts";
import { SocleError } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/text/json.ts";
import { codeOf } from "../../kernel/thrown.ts";
import { openPlain, readPlain } from "./plain-file.ts";

const LOCK = "backup.lock";

const schema = z.object({
  pid: z.number(),
  /** Of the process, in the clock ticks of /proc: a number may be that of a later process. */
  startedAt: z.string(),
  host: z.string(),
});
type Holder = z.output<typeof schema>;

/** Excludes other backups into a directory, by a file that names this process. */
export class DirectoryLock {
  readonly #path: string;
  readonly #own: string;

  private constructor(path: string, own: string) {
    this.#path = path;
    this.#own = own;
  }

  /** Takes over the lock of a process that is gone. Throws `conflict` BACKUP_DIRECTORY_BUSY. */
  static async take(directory: string): Promise<DirectoryLock> {
    const path = join(directory, LOCK);
    const holder = { pid: process.pid, startedAt: (await startOf(process.pid)) ?? "", host: hostname() };
    const own = `${JSON.stringify(holder satisfies Holder)}\n`;
    for (let tries = 0; tries < 3; tries += 1) {
      if (await create(path, own)) return new DirectoryLock(path, own);
      const text = await readPlain(path);
      if (text === undefined) continue;
      const holder = schema.safeParse(parseJson(text)).data;
      if (holder === undefined || !(await isGone(holder))) throw busy(path, holder);
      await remove(path, text);
    }
    throw busy(path, undefined);
  }

  /** Leaves a lock that another process took after a person removed this one. */
  async release(): Promise<void> {
    if ((await readPlain(this.#path)) === this.#own) await rm(this.#path, { force: true });
  }
}

/** The file appears with its text. False: there is one. */
async function create(path: string, own: string): Promise<boolean> {
  const part = `${path}.${randomUUID()}`;
  const handle = await openPlain(part, "create");
  try {
    await handle.writeFile(own);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(part, path);
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === "EEXIST") return false;
    throw thrown;
  } finally {
    await rm(part, { force: true });
  }
}

/** Removes the lock if it still has this text: another process may have taken it over meanwhile. */
async function remove(path: string, text: string): Promise<void> {
  const aside = `${path}.${randomUUID()}.left`;
  try {
    await rename(path, aside);
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return;
    throw thrown;
  }
  const isSame = (await readPlain(aside)) === text;
  // Back in place, unless a third one has it now.
  if (!isSame) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

async function isGone({ pid, startedAt, host }: Holder): Promise<boolean> {
  return host === hostname() && (await startOf(pid)) !== startedAt;
}

/** The 22nd field of /proc/PID/stat; the name before may have spaces. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")[19];
}

const busy = (path: string, holder: Holder | undefined): SocleError =>
  new SocleError(
    "conflict",
    "BACKUP_DIRECTORY_BUSY",
    holder === undefined
      ? `another process backs up into this directory: it holds ${path}`
      : `process ${holder.pid} on ${holder.host} backs up into this directory: wait for it; if it is gone, remove ${path}`,
  );
