import { createHash } from "node:crypto";
import { constants } from "node:fs";
import {
  access,
  open,
  readFile,
  readdir,
  readlink,
  realpath,
  rm,
  stat,
  symlink,
  type FileHandle,
} from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { SocleError } from "../../kernel/errors.ts";
import { processIdentity } from "../../kernel/lifecycle/process-identity.ts";
import { ProcessNameTaken, takeProcessName, type ProcessName } from "../../kernel/lifecycle/process-name.ts";
import { makeDirectory } from "../../kernel/make-directory.ts";
import type { Logger } from "../../kernel/log.ts";
import { requireSameFile, stateLost } from "../journal/append-file.ts";
import { isFullDisk, replaceLink, writeFully } from "../journal/durable-file.ts";
import { codeOf, messageOf } from "../../kernel/thrown.ts";

export interface StateDirectory {
  readonly path: string;
  /** Why the last write into it failed. */
  readonly failure: SocleError | undefined;
  /** Retries a write, and checks that the directory is still the opened one; the result is in `failure`. Never rejects. */
  tryAgain(): Promise<void>;
  /** Allows another agent to open it. A killed agent needs no release. */
  release(): Promise<void>;
}

/** Large enough to need disk blocks, as a change does. */
const probe = Buffer.alloc(16 * 1024);
const released = "released";

/**
 * Creates the directory (0700) if it is missing, and claims it for this process, also on a full disk. Throws
 * `unavailable` STATE_UNWRITABLE and `conflict` STATE_IN_USE. Logs a warning for a directory of another owner, or open
 * to other users.
 */
export async function openStateDirectory(path: string, log: Logger): Promise<StateDirectory> {
  try {
    await makeDirectory(path, 0o700);
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (thrown) {
    throw unwritable(path, thrown);
  }
  const { uid, mode } = await stat(path);
  if (uid !== process.geteuid?.())
    log.warn({ path, owner: uid }, "the state directory belongs to another user; chown it to the agent's");
  if ((mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, "0");
    log.warn({ path, mode: octal }, "the state directory is accessible to other users; chmod it to 0700");
  }
  let own: string;
  try {
    own = await takeLock(path);
  } catch (thrown) {
    throw thrown instanceof SocleError ? thrown : unwritable(path, thrown);
  }
  const name = await takeName(path, log).catch(async (thrown: unknown) => {
    await replaceLink(own, released);
    throw thrown;
  });
  // Held open: another directory never gets its inode.
  const held = await open(path, "r");
  let failure: SocleError | undefined;
  return {
    path,
    get failure() {
      return failure;
    },
    async tryAgain() {
      failure = (await lost(path, held)) ?? (await write(path));
    },
    async release() {
      const isLost = (await lost(path, held)) !== undefined;
      await held.close();
      name.release();
      // Not removed: see takeLock.
      if (!isLost) await replaceLink(own, released);
    },
  };
}

/**
 * Claims a name that lives as long as its process: the lock in the directory is lost with the directory. Paths are
 * relative to the mount namespace.
 */
async function takeName(path: string, log: Logger): Promise<ProcessName> {
  // If /proc belongs to another PID namespace, it does not list this process.
  const mounts = await readlink("/proc/self/ns/mnt").catch(() => "");
  const where = `${mounts} ${await realpath(path)}`;
  const hash = createHash("sha256").update(where).digest("hex");
  try {
    const name = await takeProcessName(`socle-agent/${hash}`);
    if (name.foreign)
      log.warn(
        { path },
        "a process that this one cannot see, or of another user, claims to be the agent of this state directory; it is " +
          "ignored. Find it: ss -xlp | grep socle-agent",
      );
    return name;
  } catch (cause) {
    if (!(cause instanceof ProcessNameTaken)) throw unwritable(path, cause);
    throw inUse(path, cause.pid, ", which may use a directory that was deleted or replaced since", cause);
  }
}

async function lost(path: string, held: FileHandle): Promise<SocleError | undefined> {
  try {
    await requireSameFile(path, held);
    return undefined;
  } catch (cause) {
    return new SocleError("unavailable", "STATE_LOST", stateLost(`the state directory ${path}`), { cause });
  }
}

async function write(directory: string): Promise<SocleError | undefined> {
  const path = join(directory, "probe");
  try {
    const file = await open(path, "w", 0o600);
    try {
      await writeFully(file, probe, 0);
      await file.datasync();
    } finally {
      await file.close();
      await rm(path, { force: true });
    }
    return undefined;
  } catch (cause) {
    return cannotWrite(directory, cause);
  }
}

/**
 * Node has no flock, and a lock that only a clean exit removes would block the successor of a killed agent. So the lock
 * names its holder: kernel boot, pid and the process's start time (a pid may be reused). A dead holder's lock is not
 * replaced, which two processes could do at once. Locks are numbered instead, the highest counts, and symlink() lets
 * only one process create the next number. Only the holder of a higher lock removes lower ones; a process that then
 * finds a number above its own steps back. A lock is a link and its text the link's target, which has room on a full
 * disk.
 */
async function takeLock(directory: string): Promise<string> {
  const identity = (await identityOf(process.pid)) ?? released;
  for (;;) {
    const newest = Math.max(0, ...(await lockNumbers(directory)));
    if (newest > 0) await refuseWhileHeld(directory, newest);
    const own = join(directory, `lock.${newest + 1}`);
    try {
      await symlink(identity, own);
    } catch (thrown) {
      if (codeOf(thrown) === "EEXIST") continue;
      throw thrown;
    }
    const numbers = await lockNumbers(directory);
    if (Math.max(...numbers) > newest + 1) {
      await rm(own, { force: true });
      continue;
    }
    const older = numbers.filter((number) => number <= newest);
    await Promise.all(older.map((number) => rm(join(directory, `lock.${number}`), { force: true })));
    return own;
  }
}

async function lockNumbers(directory: string): Promise<number[]> {
  const names = await readdir(directory);
  return names.flatMap((name) => (/^lock\.\d+$/.test(name) ? [Number(name.slice(5))] : []));
}

async function refuseWhileHeld(directory: string, number: number): Promise<void> {
  const holder = await holderOf(join(directory, `lock.${number}`));
  if (holder === undefined) return; // followed and removed meanwhile; symlink() or the next look decides
  const pid = Number(holder.split(" ")[0]);
  if (holder !== (await identityOf(pid))) return;
  throw inUse(directory, pid);
}

function inUse(directory: string, pid: number, more = "", cause?: unknown): SocleError {
  const message = `${directory} is in use by the agent with pid ${pid}${more}; stop that one, or give this one its own state.directory`;
  const details = { metadata: { pid: String(pid) } };
  return new SocleError("conflict", "STATE_IN_USE", message, { cause, details });
}

async function holderOf(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch {
    // Earlier versions wrote a file.
    return await readFile(path, "utf8").catch(() => undefined);
  }
}

/** `PID START BOOT`: identifies a process beyond its pid; undefined if the process does not exist. */
async function identityOf(pid: number): Promise<string | undefined> {
  const identity = await processIdentity(pid);
  return identity && `${pid} ${identity.start} ${identity.bootId}`;
}

function unwritable(path: string, cause: unknown): SocleError {
  const { username, uid } = userInfo();
  const code = codeOf(cause) ?? "";
  if (["ENOSPC", "EDQUOT", "EROFS", "EIO"].includes(code)) return cannotWrite(path, cause);
  const why = messageOf(cause);
  return new SocleError(
    "unavailable",
    "STATE_UNWRITABLE",
    `the state directory ${path} cannot be used by ${username} (uid ${uid}): ${why}. ` +
      `Create it for that user (install -d -m 0700 -o ${username} ${path}), or set state.directory.`,
    { cause, details: { metadata: { path, user: username } } },
  );
}

function cannotWrite(path: string, cause: unknown): SocleError {
  const why = messageOf(cause);
  const isFull = isFullDisk(cause);
  return new SocleError(
    isFull ? "exhausted" : "unavailable",
    "STATE_UNWRITABLE",
    `the state directory ${path} cannot be written (${why}): ${isFull ? "free space there" : "repair its disk"}, or set state.directory`,
    { cause, details: { metadata: { path } } },
  );
}
