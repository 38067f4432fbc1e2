import { readlink } from "node:fs/promises";
import { join } from "node:path";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { FileLost, isFileLost, stateLost } from "../journal/append-file.ts";
import { replaceLink, UncertainWrite } from "../journal/durable-file.ts";
import { codeOf, messageOf } from "../../kernel/thrown.ts";

/** Writes `value` outside of the state directory. Resolves with false where that was refused, rejects where it may have failed. */
type Publish = () => Promise<boolean>;

interface Mark {
  readonly value: number;
  /** The id of an operation, or "". */
  readonly outdatedThrough: string;
}

/**
 * How far this state directory has come: a number in it (a link, which finds room on a full disk), and never ahead of it the
 * same number outside, which a copy of the directory does not bring back. A copy whose number is lower is an older state.
 */
export class Watermark {
  readonly #path: string;
  #mark: Mark;
  /** What the link says, durably or not, and the number in it. */
  #text: string;
  #highest: number;
  #failure: SocleError | undefined;
  readonly #onLost: ((why: SocleError) => void) | undefined;
  #publish: Publish | undefined;
  #isCurrent: () => boolean = () => true;
  #raising: Promise<boolean> = Promise.resolve(true);
  /** Begins when the raise under way has ended. */
  #next: Promise<boolean> | undefined;
  #writing: Promise<void> = Promise.resolve();

  /** `onLost`: the link was deleted or replaced, which cannot be mended while this is open. */
  static async open(directory: string, onLost?: (why: SocleError) => void): Promise<Watermark> {
    const path = join(directory, "watermark");
    // One that is missing or damaged is lower than any: what it cannot vouch for is outdated.
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

  /** Why the number could not be written when that was last tried. */
  get failure(): SocleError | undefined {
    return this.#failure;
  }

  /** Where it could not: finds out by a write whether it can, which `failure` says then. Never rejects. */
  async tryAgain(): Promise<void> {
    if (this.#failure !== undefined) await this.#write((mark) => ({ ...mark })).catch(() => undefined);
  }

  get value(): number {
    return this.#mark.value;
  }

  /**
   * Without it nothing is raised. `isCurrent`: the number outside was compared, and this state is not older. Before, a raise
   * in a copy would hide that it is one.
   */
  publishBy(publish: Publish, isCurrent: () => boolean = () => true): void {
    this.#publish = publish;
    this.#isCurrent = isCurrent;
  }

  /**
   * Every copy of the state that was made before the call is known to be older once this resolves with true; false: the
   * number outside was refused, and is as it was. Concurrent calls share a write. Rejects with the error of `publish`, and
   * with STATE_UNWRITABLE or STATE_LOST, which leave the number as it was.
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

  /** Operations through `newest` that have no end are outdated for good. Throws STATE_UNWRITABLE and STATE_LOST. */
  async outdate(newest: string): Promise<void> {
    await this.#write((mark) =>
      newest > mark.outdatedThrough ? { ...mark, outdatedThrough: newest } : mark,
    );
  }

  /** Throws STATE_UNWRITABLE and STATE_LOST. */
  async reach(value: number): Promise<void> {
    await this.#write((mark) => (value > mark.value ? { ...mark, value } : mark));
  }

  /** The operation has no end because the state is older than what was done with it: what became of it is not known here. */
  isOutdated(operationId: string): boolean {
    return operationId <= this.#mark.outdatedThrough;
  }

  /** Writes come one at a time; each changes the mark that the one before wrote. */
  #write(change: (mark: Mark) => Mark): Promise<void> {
    const written = this.#writing.then(async () => {
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
    this.#writing = written.catch(() => undefined);
    return written;
  }

  async #replace(next: Mark): Promise<void> {
    // A copy that was put in the state's place would not be older any more.
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

/** "": there is no link. Throws what else the file system says. */
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
