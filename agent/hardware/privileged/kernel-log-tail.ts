import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../reading.ts";
import type { Roots } from "../roots.ts";

/** The kernel rejects reads of a record into a smaller buffer. */
const RECORD_BYTES = 16_384;
/** Limits of one read; the next read returns the rest. */
const RECORDS_PER_LOOK = 5000;
const CHARACTERS_PER_LOOK = 1024 ** 2;

/** The record number in "3,1234,5678901,-;words"; undefined for a continuation line. */
export function recordNumber(record: string): number | undefined {
  const number = /^\d+,(\d+),/.exec(record)?.[1];
  return number === undefined ? undefined : Number(number);
}

/** Reads the kernel's log (Documentation/ABI/testing/dev-kmsg) from a given record on. */
export class KernelLogTail {
  readonly #path: string;
  #file: FileHandle | undefined;
  /** The last record returned; the file position is after it. */
  #last: number | undefined;

  constructor({ devRoot }: Roots) {
    this.#path = join(devRoot, "kmsg");
  }

  /**
   * The raw records after this number; without a number, all records in the kernel's buffer. Rejects
   * with EPERM if kernel.dmesg_restrict requires CAP_SYSLOG.
   */
  async read(after: number | undefined): Promise<string> {
    // The same reader continues at the file position; for another position, start at the oldest record.
    if (after !== this.#last) await this.close();
    this.#file ??= await open(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
    const buffer = Buffer.alloc(RECORD_BYTES);
    let text = "";
    for (let records = 0; records < RECORDS_PER_LOOK && text.length < CHARACTERS_PER_LOOK;) {
      const piece = await this.#next(this.#file, buffer);
      if (piece === "") break;
      // The device returns one record per read; a regular file in tests returns several.
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

  /** "" at the end of the log. */
  async #next(file: FileHandle, buffer: Buffer): Promise<string> {
    for (;;) {
      try {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
        return buffer.toString("utf8", 0, bytesRead);
      } catch (cause) {
        if (errorCode(cause) === "EAGAIN") return "";
        // EPIPE: records were overwritten before they were read; the next read returns the oldest record.
        if (errorCode(cause) !== "EPIPE") throw cause;
      }
    }
  }
}
