import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable } from "node:stream";

/**
 * Starts a process that the kernel kills when this one ends in any way, so that a killed test leaves no
 * daemon behind. It has its own process group: Ctrl-C reaches this process, which ends it cleanly when it is
 * not needed any more. Its stdout and stderr are pipes.
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
