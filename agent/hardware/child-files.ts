import { SocleError } from "../kernel/errors.ts";
import { runChild } from "./child.ts";

/** Paths handed to one child: far from what a command line may hold. */
const PATHS_PER_CHILD = 400;
const TIMEOUT_MS = 4000;

/** Wall clock of when the child of a group was started; until it is truly gone. */
const alive = new Map<string, number>();

export interface ChildFilesOptions {
  readonly pattern?: string;
  readonly timeoutMs?: number;
  /** For tests alone. */
  readonly run?: typeof runChild;
}

/**
 * The first line of each file that matches, read by a child: files of sick hardware may never answer, and would take a
 * thread of this process with them. A file that cannot be read is left out. Rejects as `runChild`. A child that sits in
 * a driver outlives its own kill: each `group` of files has one at a time, and rejects with `timeout` CHILD_STUCK, at
 * once, while that one lives.
 */
export async function readFilesByChild(
  group: string,
  paths: readonly string[],
  signal: AbortSignal,
  { pattern = "", timeoutMs = TIMEOUT_MS, run = runChild }: ChildFilesOptions = {},
): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  for (let start = 0; start < paths.length; start += PATHS_PER_CHILD) {
    const some = paths.slice(start, start + PATHS_PER_CHILD);
    const stuckSinceMs = alive.get(group);
    if (stuckSinceMs !== undefined) {
      const since = new Date(stuckSinceMs).toISOString();
      throw new SocleError("timeout", "CHILD_STUCK", `reading ${group} is still stuck since ${since}`);
    }
    const { output, gone } = run(["grep", "-sHaEm1", pattern, "--", ...some], {
      timeoutMs,
      maxOutputBytes: 1024 * 1024,
      signal,
      // 1: all of them are empty; 2: some could not be read.
      anyExitCode: true,
    });
    alive.set(group, Date.now());
    void gone.then(() => alive.delete(group));
    const wanted = new Set(some);
    for (const line of (await output).stdout.split("\n")) {
      // A PCI address has colons of its own.
      for (let colon = line.indexOf(":"); colon > 0; colon = line.indexOf(":", colon + 1)) {
        const path = line.slice(0, colon);
        if (!wanted.has(path)) continue;
        texts.set(path, line.slice(colon + 1).trim());
        break;
      }
    }
  }
  return texts;
}
