import { OneChild, runChild } from "./child.ts";

/** Paths handed to one child: far from what a command line may hold. */
const PATHS_PER_CHILD = 400;
const TIMEOUT_MS = 4000;

const children = new OneChild();

export interface ChildFilesOptions {
  readonly pattern?: string;
  readonly timeoutMs?: number;
  /** For tests alone. */
  readonly run?: typeof runChild;
}

/**
 * The first line of each file that matches, read by a child: files of sick hardware may never answer, and would take a
 * thread of this process with them. A file that cannot be read is left out. Each `group` of files has one child at a
 * time. Rejects as `OneChild`.
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
    const { output } = children.of(group, () =>
      run(["grep", "-sHaEm1", pattern, "--", ...some], {
        timeoutMs,
        maxOutputBytes: 1024 * 1024,
        signal,
        // 1: all of them are empty; 2: some could not be read.
        anyExitCode: true,
      }),
    );
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
