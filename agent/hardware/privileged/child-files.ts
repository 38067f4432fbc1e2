import { OneChild, runChild } from "./child.ts";

/** Paths per child: far below the limit of a command line. */
const PATHS_PER_CHILD = 400;
const TIMEOUT_MS = 4000;

const children = new OneChild();

interface ChildFilesOptions {
  readonly pattern?: string;
  readonly timeoutMs?: number;
  /** Only for tests. */
  readonly run?: typeof runChild;
}

/**
 * The first matching line of each file, read by a child: reads of broken hardware may never return, and would block a
 * thread of this process. Unreadable files are omitted. Each `group` of files has one child at a time. Rejects as
 * `OneChild`.
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
        // 1: all are empty; 2: some were unreadable.
        anyExitCode: true,
      }),
    );
    const wanted = new Set(some);
    for (const line of (await output).stdout.split("\n")) {
      // A PCI address contains colons too.
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
