import { readFile, readlink } from "node:fs/promises";
import { codeOf } from "../thrown.ts";

/** Identifies a process beyond its pid, which the kernel reuses. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since boot. */
  readonly start: string;
  readonly bootId: string;
  /** The PID namespace of `pid`. */
  readonly namespace: string;
}

/** Identity of a process in this PID namespace; undefined if there is none, or /proc does not show it. */
export async function processIdentity(pid = process.pid): Promise<ProcessIdentity | undefined> {
  try {
    const { state, start } = await lookAt(pid);
    if (isDead(state)) return undefined;
    return { pid, start, bootId: await bootId(), namespace: await readlink("/proc/self/ns/pid") };
  } catch {
    return undefined;
  }
}

/**
 * The identity of this process. If /proc belongs to another PID namespace, `hasEnded` reports that identity as running.
 * Throws without /proc.
 */
export const ownIdentity = async (): Promise<ProcessIdentity> =>
  (await processIdentity()) ?? {
    pid: process.pid,
    start: "unseen",
    bootId: await bootId(),
    namespace: "unseen",
  };

const bootId = async (): Promise<string> =>
  (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();

/**
 * Whether the process has certainly ended. A process in another PID namespace is invisible, and its boot id may differ
 * (systemd-nspawn shows one of its own). The kernel's first PID namespace has the same name in every boot.
 */
export async function hasEnded(other: ProcessIdentity): Promise<boolean> {
  const own = await processIdentity();
  if (own === undefined || other.namespace !== own.namespace) return false;
  if (other.bootId !== own.bootId) return true;
  try {
    const { state, start } = await lookAt(other.pid);
    return isDead(state) || start !== other.start;
  } catch {
    // /proc may hide other users' processes (hidepid, systemd's ProtectProc=); kill(2) still finds them.
    return !isThere(other.pid);
  }
}

async function lookAt(pid: number): Promise<{ state: string; start: string }> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // proc(5): the command, in parentheses, may contain any text; the start time is field 22, the 20th after it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", start: fields[19] ?? "" };
}

const isDead = (state: string): boolean => state === "Z" || state === "X";

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (thrown) {
    return codeOf(thrown) !== "ESRCH";
  }
}
