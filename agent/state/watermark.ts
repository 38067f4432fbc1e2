import { readlink } from "node:fs/promises";
import { join } from "node:path";
import { SocleError } from "../kernel/errors.ts";
import { replaceLink } from "./durable-file.ts";

/** Writes `value` outside of the state directory. Rejects where that may have failed. */
type Publish = () => Promise<void>;

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
  #publish: Publish | undefined;
  #raising: Promise<void> = Promise.resolve();
  /** Begins when the raise under way has ended. */
  #next: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();

  static async open(directory: string): Promise<Watermark> {
    const path = join(directory, "watermark");
    // One that is missing or damaged is lower than any: what it cannot vouch for is outdated.
    const text = await readlink(path).catch(() => "");
    const [, value = "0", outdatedThrough = ""] = /^(\d{1,15})(?: ([\da-f-]{36}))?$/.exec(text) ?? [];
    return new Watermark(path, { value: Number(value), outdatedThrough });
  }

  private constructor(path: string, read: Mark) {
    this.#path = path;
    this.#mark = read;
  }

  get value(): number {
    return this.#mark.value;
  }

  /** Without it nothing is raised. */
  publishBy(publish: Publish): void {
    this.#publish = publish;
  }

  /**
   * Every copy of the state that was made before the call is known to be older once this resolves. Concurrent calls share a
   * write. Rejects with the error of `publish`, and with STATE_UNWRITABLE, which leaves the mark where it is.
   */
  raise(): Promise<void> {
    if (this.#publish === undefined) return Promise.resolve();
    this.#next ??= this.#raising
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return (this.#raising = this.#raise());
      });
    return this.#next;
  }

  async #raise(): Promise<void> {
    const failure = await this.#write((mark) => ({ ...mark, value: mark.value + 1 })).then(
      () => undefined,
      (thrown: unknown) => unwritable(this.#path, thrown),
    );
    await this.#publish?.();
    if (failure !== undefined) throw failure;
  }

  /** Operations through `newest` that have no end are outdated for good. Throws the file system's errors. */
  async outdate(newest: string): Promise<void> {
    await this.#write((mark) =>
      newest > mark.outdatedThrough ? { ...mark, outdatedThrough: newest } : mark,
    );
  }

  /** Throws the file system's errors. */
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
      const { value, outdatedThrough } = next;
      await replaceLink(this.#path, outdatedThrough === "" ? String(value) : `${value} ${outdatedThrough}`);
      this.#mark = next;
    });
    this.#writing = written.catch(() => undefined);
    return written;
  }
}

function unwritable(path: string, cause: unknown): SocleError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `${path} cannot be written (${why}): check the disk and its free inodes`;
  return new SocleError("unavailable", "STATE_UNWRITABLE", message, { cause });
}
