import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable } from "node:stream";

/**
 * Starts a process that the kernel kills when this one ends, however it ends: a test that is killed leaves no daemon
 * behind. It is in a group of its own: Ctrl-C is for this process, which ends it in good order, once it needs it no
 * more. Its stdout and stderr are pipes.
 */
export function spawnBound(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string>> } = {},
): ChildProcessByStdio<null, Readable, Readable> {
  return spawn("setpriv", ["--pdeathsig", "KILL", command, ...args], {
    ...options,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
}
