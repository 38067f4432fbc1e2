import { toSocleError } from "../../kernel/errors.ts";
import { OneChild, runChild, type Child } from "../privileged/child.ts";
import { parseWhole, type Reading } from "../reading.ts";

export interface FilesystemSpace {
  readonly sizeBytes: number;
  readonly usedBytes: number;
  /** Free to anyone but root, who may have blocks set aside. */
  readonly availableBytes: number;
  /** available / (used + available): what df shows as the rest to 100%. */
  readonly availableRatio: number;
}

/** coreutils' stat, saying: size of a block, blocks, free blocks, blocks free to anyone. */
function statfs(path: string, timeoutMs: number): Child {
  return runChild(["stat", "-f", "-c", "%S %b %f %a", "--", path], { timeoutMs, maxOutputBytes: 4096 });
}

/**
 * Asks for a filesystem's space in a child process: statfs on a dead NFS never returns, and in this process it would
 * hold a file thread for ever. One child a path: who asks meanwhile shares its answer, and while one is stuck past its
 * deadline the answer is `failed`, at once and without another child. Either has the code `timeout`.
 */
export class FilesystemProbe {
  readonly #timeoutMs: number;
  readonly #statfs: typeof statfs;
  readonly #inFlight = new Map<string, Promise<Reading<FilesystemSpace>>>();
  readonly #children = new OneChild();

  /** `statfs` for tests alone. */
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
  if (blockBytes === undefined || blocks === undefined || free === undefined || available === undefined) {
    throw new Error(`stat said ${JSON.stringify(text.slice(0, 100))}`);
  }
  const usable = blocks - free + available;
  return {
    sizeBytes: blocks * blockBytes,
    usedBytes: (blocks - free) * blockBytes,
    availableBytes: available * blockBytes,
    // A filesystem without blocks (proc, some FUSE) has nothing that could run out.
    availableRatio: usable > 0 ? available / usable : 1,
  };
}
