import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../reading.ts";
import type { Roots } from "../roots.ts";

/** The kernel does not hand out a record into less. */
const RECORD_BYTES = 16_384;
/** One look hands out no more; the rest waits for the next one. */
const RECORDS_PER_LOOK = 5000;
const CHARACTERS_PER_LOOK = 1024 ** 2;

/** A record's number, of "3,1234,5678901,-;words"; undefined for a further line of one. */
export function recordNumber(record: string): number | undefined {
  const number = /^\d+,(\d+),/.exec(record)?.[1];
  return number === undefined ? undefined : Number(number);
}

/** The kernel's own log (Documentation/ABI/testing/dev-kmsg), from a record on. */
export class KernelLogTail {
  readonly #path: string;
  #file: FileHandle | undefined;
  /** The last record that was handed out: the file stands behind it. */
  #last: number | undefined;

  constructor({ devRoot }: Roots) {
    this.#path = join(devRoot, "kmsg");
  }

  /**
   * The records behind the one of this number, as the kernel gives them; without one, all that it still has. Rejects
   * with EPERM where kernel.dmesg_restrict wants CAP_SYSLOG.
   */
  async read(after: number | undefined): Promise<string> {
    // Whoever comes again reads on; anybody else is read to from the oldest record.
    if (after !== this.#last) await this.close();
    this.#file ??= await open(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
    const buffer = Buffer.alloc(RECORD_BYTES);
    let text = "";
    for (let records = 0; records < RECORDS_PER_LOOK && text.length < CHARACTERS_PER_LOOK;) {
      const piece = await this.#next(this.#file, buffer);
      if (piece === "") break;
      // The device gives one record at a time; of a file that stands for it, a piece holds several.
      const newest = piece.split("\n").findLast((line) => recordNumber(line) !== undefined);
      const number = newest === undefined ? undefined : recordNumber(newest);
      if (after !== undefined && number !== undefined && number <= after) continue;
      records += 1;
      text += piece;
      this.#last = number ?? this.#last;
    }
    this.#last ??= after;
    return text;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = this.#last = undefined;
    await file?.close();
  }

  /** "" at the log's end. */
  async #next(file: FileHandle, buffer: Buffer): Promise<string> {
    for (;;) {
      try {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
        return buffer.toString("utf8", 0, bytesRead);
      } catch (cause) {
        if (errorCode(cause) === "EAGAIN") return "";
        // EPIPE: records were overwritten before they were read; the next one is the oldest there is.
        if (errorCode(cause) !== "EPIPE") throw cause;
      }
    }
  }
}
