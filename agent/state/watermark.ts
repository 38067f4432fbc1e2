import { readlink } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../kernel/log.ts";
import { replaceLink } from "./durable-file.ts";

/** Writes `value` outside of the state directory. Rejects where that may have failed. */
type Publish = () => Promise<void>;

/**
 * How far this state directory has come: a number in it (a link, which finds room on a full disk), and never ahead of it the
 * same number outside, which a copy of the directory does not bring back. A copy whose number is lower is an older state.
 */
export class Watermark {
  readonly #path: string;
  readonly #log: Logger;
  #value: number;
  #outdatedThrough: string;
  #publish: Publish | undefined;
  #writing: Promise<void> = Promise.resolve();
  /** Begins when the raise under way has ended. */
  #next: Promise<void> | undefined;

  static async open(directory: string, log: Logger): Promise<Watermark> {
    const path = join(directory, "watermark");
    // One that is missing or damaged is lower than any: what it cannot vouch for is outdated.
    const text = await readlink(path).catch(() => "");
    const [, value = "0", outdatedThrough = ""] = /^(\d{1,15})(?: ([\da-f-]{36}))?$/.exec(text) ?? [];
    return new Watermark(path, log, { value: Number(value), outdatedThrough });
  }

  private constructor(path: string, log: Logger, read: { value: number; outdatedThrough: string }) {
    this.#path = path;
    this.#log = log;
    this.#value = read.value;
    this.#outdatedThrough = read.outdatedThrough;
  }

  get value(): number {
    return this.#value;
  }

  /** Without it nothing is raised. */
  publishBy(publish: Publish): void {
    this.#publish = publish;
  }

  /**
   * Every copy of the state that was made before the call is known to be older once this resolves. Concurrent calls share a
   * write. Rejects with the error of `publish`; a state directory that cannot be written leaves the mark where it is.
   */
  raise(): Promise<void> {
    if (this.#publish === undefined) return Promise.resolve();
    this.#next ??= this.#writing
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return (this.#writing = this.#raise());
      });
    return this.#next;
  }

  async #raise(): Promise<void> {
    try {
      await this.#write(this.#value + 1, this.#outdatedThrough);
    } catch (thrown) {
      this.#log.debug({ err: thrown }, "the state directory's watermark cannot be raised");
    }
    await this.#publish?.();
  }

  /** Operations through `newest` that have no end are outdated for good. Throws the file system's errors. */
  async outdate(newest: string): Promise<void> {
    if (newest > this.#outdatedThrough) await this.#write(this.#value, newest);
  }

  /** Throws the file system's errors. */
  async reach(value: number): Promise<void> {
    if (value > this.#value) await this.#write(value, this.#outdatedThrough);
  }

  /** The operation has no end because the state is older than what was done with it: what became of it is not known here. */
  isOutdated(operationId: string): boolean {
    return operationId <= this.#outdatedThrough;
  }

  async #write(value: number, outdatedThrough: string): Promise<void> {
    await replaceLink(this.#path, outdatedThrough === "" ? String(value) : `${value} ${outdatedThrough}`);
    this.#value = value;
    this.#outdatedThrough = outdatedThrough;
  }
}
