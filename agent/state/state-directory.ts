import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { access, link, open, readFile, readdir, rm, stat, truncate } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { SocleError } from "../kernel/errors.ts";
import { makeDirectory } from "../kernel/make-directory.ts";
import type { Logger } from "../kernel/log.ts";

export interface StateDirectory {
  readonly path: string;
  /** Lets another agent open it. A killed agent needs not have called it. */
  release(): Promise<void>;
}

/**
 * Makes the directory (0700) where it is missing and takes it for this process. Throws `unavailable` STATE_UNWRITABLE
 * and `conflict` STATE_IN_USE; a directory of another owner or open to others is logged as a warning.
 */
export async function openStateDirectory(path: string, log: Logger): Promise<StateDirectory> {
  try {
    await makeDirectory(path, 0o700);
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (thrown) {
    throw unwritable(path, thrown);
  }
  const { uid, mode } = await stat(path);
  if (uid !== process.geteuid?.()) {
    log.warn({ path, owner: uid }, "the state directory belongs to another user; chown it to the agent's");
  }
  if ((mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, "0");
    log.warn({ path, mode: octal }, "the state directory is open to other users; chmod it to 0700");
  }
  let own: string;
  try {
    own = await takeLock(path);
  } catch (thrown) {
    throw thrown instanceof SocleError ? thrown : unwritable(path, thrown);
  }
  // Emptied, not removed: see takeLock.
  return { path, release: () => truncate(own, 0) };
}

/**
 * Node has no flock, and a lock that only a clean exit removes would keep out the agent that follows a killed one. So the
 * lock is a file that names its holder: kernel boot, pid and the process's start time (a pid alone may be somebody
 * else's by now). A dead holder's lock is not replaced, which two could do at once, but followed: files are numbered,
 * the highest counts, and link() lets only one process make the next number. Lower ones are removed only by the holder of
 * a higher one; whoever then finds a number above its own was late, and steps back.
 */
async function takeLock(directory: string): Promise<string> {
  const identity = await identityOf(process.pid);
  const draft = join(directory, `lock.draft.${process.pid}.${randomBytes(4).toString("hex")}`);
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(identity ?? "");
  } finally {
    await file.close();
  }
  try {
    for (;;) {
      const newest = Math.max(0, ...(await lockNumbers(directory)));
      if (newest > 0) await refuseWhileHeld(directory, newest);
      const own = join(directory, `lock.${newest + 1}`);
      try {
        await link(draft, own);
      } catch (thrown) {
        if (thrown instanceof Error && "code" in thrown && thrown.code === "EEXIST") continue;
        throw thrown;
      }
      const numbers = await lockNumbers(directory);
      if (Math.max(...numbers) > newest + 1) {
        await rm(own, { force: true });
        continue;
      }
      const older = numbers.filter((number) => number <= newest);
      await Promise.all(older.map((number) => rm(join(directory, `lock.${number}`), { force: true })));
      await removeDraftsOfTheDead(directory);
      return own;
    }
  } finally {
    await rm(draft, { force: true });
  }
}

async function removeDraftsOfTheDead(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = /^lock\.draft\.(\d+)\./.exec(name)?.[1];
    if (pid === undefined || (await identityOf(Number(pid))) !== undefined) continue;
    await rm(join(directory, name), { force: true });
  }
}

async function lockNumbers(directory: string): Promise<number[]> {
  const names = await readdir(directory);
  return names.flatMap((name) => (/^lock\.\d+$/.test(name) ? [Number(name.slice(5))] : []));
}

async function refuseWhileHeld(directory: string, number: number): Promise<void> {
  let holder: string;
  try {
    holder = await readFile(join(directory, `lock.${number}`), "utf8");
  } catch {
    return; // followed and removed meanwhile; link() or the next look decides
  }
  const pid = Number(holder.split(" ")[0]);
  if (holder === "" || holder !== (await identityOf(pid))) return;
  throw new SocleError(
    "conflict",
    "STATE_IN_USE",
    `${directory} is in use by the agent with pid ${pid}; stop that one, or give this one its own state.directory`,
    { details: { metadata: { pid: String(pid) } } },
  );
}

/** `PID START BOOT`: who a process is beyond its pid; undefined when there is no such process. */
async function identityOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
    // proc(5): the command, in parentheses, may hold anything; the start time is field 22, the 20th behind it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const dead = fields[0] === "Z" || fields[0] === "X";
    return dead ? undefined : `${pid} ${fields[19] ?? ""} ${boot.trim()}`;
  } catch {
    return undefined;
  }
}

function unwritable(path: string, cause: unknown): SocleError {
  const { username, uid } = userInfo();
  const why = cause instanceof Error ? cause.message : String(cause);
  return new SocleError(
    "unavailable",
    "STATE_UNWRITABLE",
    `the state directory ${path} cannot be used by ${username} (uid ${uid}): ${why}. ` +
      `Create it for that user (install -d -m 0700 -o ${username} ${path}), or set state.directory.`,
    { cause, details: { metadata: { path, user: username } } },
  );
}
