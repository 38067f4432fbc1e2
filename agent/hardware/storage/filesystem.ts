import { toSocleError } from "../../kernel/errors.ts";
import { OneChild, runChild, type Child } from "../privileged/child.ts";
import { parseWhole, type Reading } from "../reading.ts";

export interface FilesystemSpace {
  readonly sizeBytes: number;
  readonly usedBytes: number;
  /** Free for unprivileged users; root may have reserved blocks. */
  readonly availableBytes: number;
  /** available / (used + available): 100% minus df's Use%. */
  readonly availableRatio: number;
}

/** coreutils' stat, printing: block size, blocks, free blocks, blocks free to unprivileged users. */
const statfs = (path: string, timeoutMs: number): Child =>
  runChild(["stat", "-f", "-c", "%S %b %f %a", "--", path], { timeoutMs, maxOutputBytes: 4096 });

/**
 * Reads a filesystem's space in a child process: statfs on a dead NFS never returns, and in this process it would
 * block a file thread forever. One child per path: concurrent callers share its answer. While a child is stuck past its
 * deadline, reads return `failed` at once, without another child. Both have the code `timeout`.
 */
export class FilesystemProbe {
  readonly #timeoutMs: number;
  readonly #statfs: typeof statfs;
  readonly #inFlight = new Map<string, Promise<Reading<FilesystemSpace>>>();
  readonly #children = new OneChild();

  /** `statfs`: only for tests. */
  constructor(options: { timeoutMs: number; statfs?: (path: string, timeoutMs: number) => Child }) {
    this.#timeoutMs = options.timeoutMs;
    this.#statfs = options.statfs ?? statfs;
  }

  read(path: string): Promise<Reading<FilesystemSpace>> {
    const shared = this.#inFlight.get(path);
    if (shared !== undefined) return shared;
    const answer = this.#ask(path).finally(() => this.#inFlight.delete(path));
    this.#inFlight.set(path, answer);
    return answer;
  }

  async #ask(path: string): Promise<Reading<FilesystemSpace>> {
    const { output } = this.#children.of(path, () => this.#statfs(path, this.#timeoutMs));
    try {
      return { kind: "read", value: parseStatfs((await output).stdout, path) };
    } catch (cause) {
      const { message, kind } = toSocleError(cause);
      return { kind: "failed", reason: `${path}: ${message}`, code: kind };
    }
  }
}

function parseStatfs(text: string, path: string): FilesystemSpace {
  const [blockBytes, blocks, free, available] = text
    .trim()
    .split(" ")
    .map((word) => parseWhole(word, `statfs of ${path}`));
  if (blockBytes === undefined || blocks === undefined || free === undefined || available === undefined)
    throw new Error(`unexpected output of stat: ${JSON.stringify(text.slice(0, 100))}`);
  const usable = blocks - free + available;
  return {
    sizeBytes: blocks * blockBytes,
    usedBytes: (blocks - free) * blockBytes,
    availableBytes: available * blockBytes,
    // A filesystem without blocks (proc, some FUSE) cannot run full.
    availableRatio: usable > 0 ? available / usable : 1,
  };
}
