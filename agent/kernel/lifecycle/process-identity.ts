import { readFile, readlink } from "node:fs/promises";
import { codeOf } from "../thrown.ts";

/** Who a process is, beyond its pid, which the kernel uses again. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since the boot. */
  readonly start: string;
  readonly bootId: string;
  /** The PID namespace in which `pid` counts. */
  readonly namespace: string;
}

/** Of a process in this one's PID namespace; undefined where there is none, or /proc does not show it. */
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
 * The identity of this process. Where /proc belongs to another PID namespace it is one that `hasEnded` reports as running.
 * Throws where there is no /proc.
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
 * Whether the process has ended for certain; one in another PID namespace cannot be looked at, and its boot may seem another
 * (systemd-nspawn shows a boot id of its own). The kernel's first PID namespace has the same name in every boot.
 */
export async function hasEnded(other: ProcessIdentity): Promise<boolean> {
  const own = await processIdentity();
  if (own === undefined || other.namespace !== own.namespace) return false;
  if (other.bootId !== own.bootId) return true;
  try {
    const { state, start } = await lookAt(other.pid);
    return isDead(state) || start !== other.start;
  } catch {
    // /proc hides other users' processes where it is mounted so (hidepid, systemd's ProtectProc=): the kernel knows them.
    return !isThere(other.pid);
  }
}

async function lookAt(pid: number): Promise<{ state: string; start: string }> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // proc(5): the command, in parentheses, may hold anything; the start time is field 22, the 20th behind it.
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
