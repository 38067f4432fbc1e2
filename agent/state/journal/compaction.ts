import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { AppendFile } from "./append-file.ts";
import { syncDirectory, writeFully } from "./durable-file.ts";
import { encodeLine } from "./format.ts";
import { toError } from "../../kernel/thrown.ts";

const chunkBytes = 128 * 1024;
const maxAppendedBytes = 64 * 1024 * 1024;

/**
 * A journal's successor, written beside it while appends continue: a snapshot of the live records, then the records
 * appended since the snapshot began (some may be in both), then one rename. Until that rename the old file is the
 * journal.
 */
export class JournalCompaction {
  readonly #path: string;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #file: FileHandle | undefined;
  #bytes = 0;
  readonly #appended: string[] = [];
  #appendedBytes = 0;

  /** `onDone` is called when the snapshot is on the disk, or with the failure. */
  constructor(journalPath: string, records: Iterable<string>, onDone: (failure?: Error) => void) {
    this.#path = compactionPath(journalPath);
    this.#done = this.#snapshot(records).then(
      () => onDone(),
      (failure: unknown) => onDone(toError(failure)),
    );
  }

  /** A record appended to the old file since the snapshot began. False: there are too many of them to continue. */
  carry(json: string): boolean {
    this.#appended.push(json);
    this.#appendedBytes += json.length;
    return this.#appendedBytes <= maxAppendedBytes;
  }

  async #snapshot(records: Iterable<string>): Promise<void> {
    this.#file = await open(this.#path, "w", 0o600);
    await this.#write(this.#file, records);
  }

  /** Call after onDone, while nothing is written to the old file: completes the new one for takeOver(). */
  async complete(): Promise<void> {
    if (this.#file === undefined) throw new Error("there is no snapshot");
    await this.#write(this.#file, this.#appended);
  }

  async #write(file: FileHandle, records: Iterable<string>): Promise<void> {
    let chunk: Buffer[] = [];
    let pending = 0;
    const flush = async (): Promise<void> => {
      await writeFully(file, Buffer.concat(chunk), this.#bytes);
      this.#bytes += pending;
      chunk = [];
      pending = 0;
      await nextTurn();
      this.#stop.signal.throwIfAborted();
    };
    for (const json of records) {
      // Each line states that all before it is on the disk: it will be, before the file becomes the journal.
      const line = encodeLine(json, this.#bytes + pending);
      chunk.push(line);
      pending += line.length;
      if (pending >= chunkBytes) await flush();
    }
    await flush();
    await file.datasync();
  }

  /** Renames the complete file to the journal and returns it. After a failure it is unknown which file is the journal. */
  async takeOver(journalPath: string): Promise<AppendFile> {
    const file = this.#file;
    if (file === undefined) throw new Error("there is no snapshot");
    await rename(this.#path, journalPath);
    await syncDirectory(dirname(journalPath));
    this.#file = undefined;
    return new AppendFile(journalPath, file, this.#bytes);
  }

  /** Leaves the old file as the journal. */
  async discard(): Promise<void> {
    this.#stop.abort();
    await this.#done;
    await this.#file?.close();
    this.#file = undefined;
    await rm(this.#path, { force: true });
  }
}

/** A crash may leave this file behind; it was never the journal. */
export const compactionPath = (journalPath: string): string => `${journalPath}.compact`;
