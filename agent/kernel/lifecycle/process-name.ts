import { randomBytes } from "node:crypto";
import { readdir, readFile, readlink } from "node:fs/promises";
import { createServer } from "node:net";

/** A name that at most one process of a user holds at a time. */
export interface ProcessName {
  release(): void;
}

/** Another process of this user, or of root, holds the name. */
export class ProcessNameTaken extends Error {
  readonly pid: number;

  constructor(name: string, pid: number) {
    super(`the process with pid ${pid} has the name ${name}`);
    this.pid = pid;
  }
}

/**
 * Claims the name in the kernel (an abstract unix socket), which frees it when this process ends, however it ends.
 * It holds within one network namespace, if /proc shows the other process. Abstract sockets have no access control, so
 * each process adds its own suffix, and sockets of other users are ignored. `foreign`: there are sockets of other users,
 * or /proc hides their owners. Throws ProcessNameTaken.
 */
export async function takeProcessName(name: string): Promise<ProcessName & { readonly foreign: boolean }> {
  // A longer name than 107 bytes is cut.
  const own = `${name}/${randomBytes(8).toString("hex")}`;
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(`\0${own}`, resolve);
  });
  server.unref();
  const release = (): void => void server.close();
  try {
    // Claim first, then look: of two processes at the same time, at least one sees the other.
    const others = await inodesOf(name, own);
    const pid = others.size === 0 ? undefined : await holderOf(others);
    if (pid !== undefined) throw new ProcessNameTaken(name, pid);
    return { release, foreign: others.size > 0 };
  } catch (thrown) {
    release();
    throw thrown;
  }
}

/** Inodes of other processes' sockets of this name. None if /proc is of another PID namespace. */
async function inodesOf(name: string, own: string): Promise<ReadonlySet<string>> {
  const text = await readFile("/proc/net/unix", "latin1").catch(() => "");
  const inodes = new Set<string>();
  for (const line of text.split("\n")) {
    // Num RefCount Protocol Flags Type St Inode Path: proc(5). A name may be padded with NULs, which are shown as @.
    const at = line.indexOf(` @${name}/`);
    if (at !== -1 && line.slice(at + 2).replace(/@+$/, "") !== own)
      inodes.add(line.slice(0, at).split(" ").at(-1) ?? "");
  }
  return inodes;
}

/** A visible process of this user, or of root, that has one of these sockets. */
async function holderOf(inodes: ReadonlySet<string>): Promise<number | undefined> {
  const user = process.geteuid?.();
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      // root may own /proc/PID of another user's process: proc(5).
      const [, uid] = /^Uid:\t\d+\t(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
      if (uid !== String(user) && uid !== "0") continue;
      for (const fd of await readdir(`/proc/${pid}/fd`)) {
        const link = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "");
        const [, inode] = /^socket:\[(\d+)\]$/.exec(link) ?? [];
        if (inode !== undefined && inodes.has(inode)) return Number(pid);
      }
    } catch {
      // The process has ended, or is hidden.
    }
  }
  return undefined;
}
