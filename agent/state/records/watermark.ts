import { readlink } from "node:fs/promises";
import { join } from "node:path";
import { Mutex } from "../../kernel/concurrency/mutex.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { FileLost, isFileLost, stateLost } from "../journal/append-file.ts";
import { replaceLink, UncertainWrite } from "../journal/durable-file.ts";
import { codeOf, messageOf } from "../../kernel/thrown.ts";

/** Writes the number outside the state directory. Resolves with false if refused, rejects if it may have failed. */
type Publish = () => Promise<boolean>;

interface Mark {
  readonly value: number;
  /** The id of an operation, or "". */
  readonly outdatedThrough: string;
}

/**
 * The progress of this state directory: a number in it (a link, which has room on a full disk), and the same number
 * outside, never behind it, which a copy of the directory does not restore. A copy with a lower number is an older
 * state.
 */
export class Watermark {
  readonly #path: string;
  #mark: Mark;
  /** The link's text, durable or not, and the number in it. */
  #text: string;
  #highest: number;
  #failure: SocleError | undefined;
  readonly #onLost: ((why: SocleError) => void) | undefined;
  #publish: Publish | undefined;
  #isCurrent: () => boolean = () => true;
  #raising: Promise<boolean> = Promise.resolve(true);
  /** Begins when the current raise has ended. */
  #next: Promise<boolean> | undefined;
  readonly #mutex = new Mutex();

  /** `onLost`: the link was deleted or replaced, which only a restart can repair. */
  static async open(directory: string, onLost?: (why: SocleError) => void): Promise<Watermark> {
    const path = join(directory, "watermark");
    // A missing or damaged link counts as lowest: everything that it cannot cover is outdated.
    const text = await textOf(path).catch(() => "");
    const [, value = "0", outdatedThrough = ""] = /^(\d{1,15})(?: ([\da-f-]{36}))?$/.exec(text) ?? [];
    return new Watermark(path, text, onLost, { value: Number(value), outdatedThrough });
  }

  private constructor(
    path: string,
    text: string,
    onLost: ((why: SocleError) => void) | undefined,
    read: Mark,
  ) {
    this.#onLost = onLost;
    this.#path = path;
    this.#text = text;
    this.#mark = read;
    this.#highest = read.value;
  }

  /** Why the last write of the number failed. */
  get failure(): SocleError | undefined {
    return this.#failure;
  }

  /** Retries after a failed write; the result is in `failure`. Never rejects. */
  async tryAgain(): Promise<void> {
    if (this.#failure !== undefined) await this.#write((mark) => ({ ...mark })).catch(() => undefined);
  }

  get value(): number {
    return this.#mark.value;
  }

  /**
   * Required for raises. `isCurrent`: the number outside was compared, and this state is not older. A raise before that
   * would hide that the state is an old copy.
   */
  publishBy(publish: Publish, isCurrent: () => boolean = () => true): void {
    this.#publish = publish;
    this.#isCurrent = isCurrent;
  }

  /**
   * Once this resolves with true, every earlier copy of the state is known to be older. False: the number outside was
   * refused, and is unchanged. Concurrent calls share a write. Rejects with the error of `publish`, and with
   * STATE_UNWRITABLE or STATE_LOST, which leave the number unchanged.
   */
  raise(): Promise<boolean> {
    if (this.#publish === undefined) return Promise.resolve(true);
    this.#next ??= this.#raising
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return (this.#raising = this.#raise());
      });
    return this.#next;
  }

  async #raise(): Promise<boolean> {
    if (!this.#isCurrent()) return (await this.#publish?.()) ?? true;
    const failure = await this.#write((mark) => ({ ...mark, value: this.#highest + 1 })).then(
      () => undefined,
      toSocleError,
    );
    const isPublished = (await this.#publish?.()) ?? true;
    if (failure !== undefined) throw failure;
    return isPublished;
  }

  /** Marks unfinished operations through `newest` as outdated for good. Throws STATE_UNWRITABLE and STATE_LOST. */
  async outdate(newest: string): Promise<void> {
    await this.#write((mark) =>
      newest > mark.outdatedThrough ? { ...mark, outdatedThrough: newest } : mark,
    );
  }

  /** Throws STATE_UNWRITABLE and STATE_LOST. */
  async reach(value: number): Promise<void> {
    await this.#write((mark) => (value > mark.value ? { ...mark, value } : mark));
  }

  /** The operation has no end here because the state is older than its run: its outcome is not known here. */
  isOutdated(operationId: string): boolean {
    return operationId <= this.#mark.outdatedThrough;
  }

  /** Writes run one at a time; each changes the previous mark. */
  #write(change: (mark: Mark) => Mark): Promise<void> {
    return this.#mutex.run(async () => {
      const next = change(this.#mark);
      if (next === this.#mark) return;
      try {
        await this.#replace(next);
        this.#failure = undefined;
      } catch (thrown) {
        this.#failure = unwritable(this.#path, thrown);
        if (isFileLost(thrown)) this.#onLost?.(this.#failure);
        throw this.#failure;
      }
    });
  }

  async #replace(next: Mark): Promise<void> {
    // A copy that replaced the state would no longer be older.
    if ((await textOf(this.#path)) !== this.#text) throw new FileLost(this.#path);
    const { value, outdatedThrough } = next;
    const text = outdatedThrough === "" ? String(value) : `${value} ${outdatedThrough}`;
    const uncertain = await replaceLink(this.#path, text).catch((thrown: unknown) => {
      if (thrown instanceof UncertainWrite) return thrown;
      throw thrown;
    });
    this.#text = text;
    this.#highest = Math.max(this.#highest, value);
    if (uncertain !== undefined) throw uncertain;
    this.#mark = next;
  }
}

/** "": the link does not exist. Throws the file system's other errors. */
async function textOf(path: string): Promise<string> {
  try {
    return await readlink(path);
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === "ENOENT" || code === "EINVAL") return "";
    throw thrown;
  }
}

function unwritable(path: string, cause: unknown): SocleError {
  if (isFileLost(cause)) return new SocleError("unavailable", "STATE_LOST", stateLost(path), { cause });
  const why = messageOf(cause);
  const message = `${path} cannot be written (${why}): check the disk and its free inodes`;
  return new SocleError("unavailable", "STATE_UNWRITABLE", message, { cause });
}
