import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable } from "node:stream";

/**
 * Starts a process that the kernel kills when this one ends, however it ends: a test that is killed leaves no daemon
 * behind. Its stdout and stderr are pipes.
 */
export function spawnBound(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string>> } = {},
): ChildProcessByStdio<null, Readable, Readable> {
  return spawn("setpriv", ["--pdeathsig", "KILL", command, ...args], {
    ...options,
    stdio: ["ignore", "pipe", "pipe"],
  });
}
