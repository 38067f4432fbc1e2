import { open, rm, type FileHandle } from "node:fs/promises";
import { devNull } from "node:os";
import { setImmediate } from "node:timers/promises";
import { SocleError } from "../../kernel/errors.ts";
import { AppendFile, writeAgain } from "./append-file.ts";
import { isFullDisk, UncertainWrite } from "./durable-file.ts";
import { compactionPath, JournalCompaction } from "./compaction.ts";
import { openJournalFile } from "./journal-file.ts";
import { encodeLine, isSeal, maxRecordBytes, replayLines, roomySeal, seal, wholeWithin } from "./format.ts";
import type { JournalOptions } from "./options.ts";
import {
  asUnreadable,
  busy,
  cannotOpen,
  closed,
  journalFailed,
  missing,
  notReadable,
  outcomeUnknown,
  requireKnown,
  tooLarge,
} from "./refusals.ts";
import { header, isOutdated, rewriteAsCurrent } from "./version.ts";
import { toError } from "../../kernel/thrown.ts";

const maxPendingBytes = 64 * 1024 * 1024;
const defaultCompactAboveBytes = 8 * 1024 * 1024;

/** `must`: the end of a begun change. `last`: at the end of the file. */
type Need = "may" | "must" | "last";

interface Pending {
  readonly json: string;
  readonly need: Need;
  readonly resolve?: () => void;
  readonly reject?: (error: SocleError) => void;
}

/** An append-only file of checksummed records. Concurrent appends share one write and one fdatasync. */
export class Journal {
  readonly #path: string;
  readonly #options: JournalOptions;
  #file: AppendFile;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #pumping = false;
  /** Permanent. */
  #failure: SocleError | undefined;
  /** The last write found no space. */
  #full: SocleError | undefined;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;
  #compactAbove: number;
  #compaction: JournalCompaction | undefined;
  /** The compaction's snapshot is on the disk: the pump switches files. */
  #snapshotDone = false;
  /** The file has an earlier version's header: it is rewritten before anything is appended. */
  #isOutdated = false;

  /**
   * Opens or creates the file (openJournalFile) and replays it. A torn tail is cut off and logged. A file of an earlier
   * version is rewritten; if that fails the journal is open for reading and `failure` gives the reason. Throws
   * `internal` JOURNAL_CORRUPT (damage before the last sync), JOURNAL_MISSING, JOURNAL_VERSION, `unavailable`
   * JOURNAL_UNREADABLE, and as openJournalFile. `onUnreadable`, if given, is called instead for all but
   * STATE_UNWRITABLE.
   */
  static async open(path: string, options: JournalOptions): Promise<Journal> {
    let file: FileHandle | undefined;
    try {
      file = await openJournalFile(path, options);
      if (file === undefined) throw missing(path, options.kind);
      await rm(compactionPath(path), { force: true });
      let first = true;
      let outdated = false as boolean;
      const found = await replayLines(path, options.kind, file, (record) => {
        if (first) outdated = isOutdated(path, options.kind, record);
        else if (!isSeal(record)) options.replay(requireKnown(path, options, record));
        first = false;
      });
      if (found.goodBytes < found.fileBytes) {
        options.log.warn(
          { path, records: found.records, offset: found.goodBytes, bytes: found.fileBytes - found.goodBytes },
          "the journal ended in a torn record that was never acknowledged; it is cut off",
        );
        await file.truncate(found.goodBytes);
        await file.datasync();
      }
      await writeAgain(file, found.syncedBytes, found.goodBytes);
      const journal = new Journal(path, new AppendFile(path, file, found.goodBytes), options);
      journal.#isOutdated = outdated;
      // Not by an append: a compaction after it would need live records that the caller has not made yet.
      if (outdated) await journal.#rewrite().catch((thrown: unknown) => void journal.#fail(thrown));
      return journal;
    } catch (thrown) {
      const error = thrown instanceof SocleError ? thrown : cannotOpen(path, thrown);
      const unreadable = options.onUnreadable && asUnreadable(error);
      if (unreadable !== undefined) {
        options.onUnreadable?.(unreadable);
        // With a failure it writes nothing.
        const held = file ?? (await open(devNull, "r"));
        const journal = new Journal(path, new AppendFile(path, held, 0), options);
        journal.#failure = unreadable;
        return journal;
      }
      await file?.close();
      throw error;
    }
  }

  private constructor(path: string, file: AppendFile, options: JournalOptions) {
    this.#path = path;
    this.#file = file;
    this.#options = options;
    this.#compactAbove = options.compactAboveBytes ?? defaultCompactAboveBytes;
  }

  /** Why appends are refused: permanently, or until there is space again. */
  get failure(): SocleError | undefined {
    return this.#failure ?? this.#full;
  }

  /** The file's length without pending records. */
  get bytes(): number {
    return this.#file.bytes;
  }

  /** Bytes that wait to be written. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Resolves when the record is on the disk. Rejects with JOURNAL_FAILED: `exhausted` while the disk is full;
   * `unavailable`, permanently, after any other failed write or sync (STATE_LOST if the file was deleted or replaced):
   * a restart will not read the record back; `outcome_unknown` if it may. Rejects with JOURNAL_BUSY if too much waits
   * for a slow disk: a record that "must" be kept (the end of a begun change) is refused only at twice that.
   */
  append(record: unknown, need: "may" | "must" = "may"): Promise<void> {
    return new Promise((resolve, reject) => {
      const { schema } = this.#options;
      const refused =
        schema?.safeParse(record).success === false
          ? notReadable(this.#path)
          : this.#push({ json: JSON.stringify(record), need, resolve, reject });
      if (refused !== undefined) reject(refused);
    });
  }

  /** After a full disk: retries by a write; the result is in `failure`. Never rejects. */
  async tryAgain(): Promise<void> {
    if (this.#full === undefined) return;
    await this.#appendSeal(roomySeal, "must");
  }

  /** Keeps its order and becomes durable with the next append. Lost if that fails. */
  appendLazily(record: unknown): void {
    if (this.#options.schema?.safeParse(record).success !== false)
      this.#push({ json: JSON.stringify(record), need: "may" });
  }

  /** Makes all appended records durable and closes the file. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#failure === undefined) {
      // A last line states that the rest is on the disk: later damage to it cannot look like a torn write.
      await this.#appendSeal(seal, "last");
    }
    if (this.#pumping) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    await this.#compaction?.discard();
    await this.#file.close();
  }

  /** Never rejects. */
  #appendSeal(json: string, need: Need): Promise<void> {
    return new Promise((resolve) => {
      const refused = this.#push({ json, need, resolve, reject: () => resolve() });
      if (refused !== undefined) resolve();
    });
  }

  #push(pending: Pending): SocleError | undefined {
    const { need } = pending;
    if (this.#failure !== undefined) return this.#failure;
    if (this.#closing !== undefined && need !== "last") return closed();
    const bytes = Buffer.byteLength(pending.json);
    if (bytes > maxRecordBytes) return tooLarge(this.#path, bytes);
    const bound = need === "may" ? maxPendingBytes : 2 * maxPendingBytes;
    if (this.#pendingBytes + bytes > bound) return busy(this.#path);
    this.#pending.push(pending);
    this.#pendingBytes += bytes;
    this.#wake();
    return undefined;
  }

  #wake(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    void this.#pump();
  }

  async #pump(): Promise<void> {
    await Promise.resolve(); // all that is appended in this turn goes into the first batch
    while (this.#failure === undefined && (this.#pending.length > 0 || this.#snapshotDone)) {
      const isSnapshotDone = this.#snapshotDone;
      const batch = this.#pending;
      this.#pending = [];
      this.#pendingBytes = 0;
      try {
        await this.#write(batch);
        for (const { resolve } of batch) resolve?.();
      } catch (thrown) {
        await this.#refuse(batch, thrown);
      }
      // The records for the snapshot are written by now, or it was abandoned.
      await this.#compactWhereDue(isSnapshotDone);
      // Resolved appenders run first: their next append replaces the seal.
      if (this.#pending.length === 0) await setImmediate();
      if (this.#pending.length === 0) await this.#seal();
    }
    this.#pumping = false;
    this.#idle?.();
  }

  async #write(batch: readonly Pending[]): Promise<void> {
    if (batch.length === 0) return;
    if (this.#isOutdated) await this.#rewrite();
    const { syncedBytes } = this.#file;
    const bytes = Buffer.concat(batch.map(({ json }) => encodeLine(json, syncedBytes)));
    const isAwaited = batch.some(({ resolve }) => resolve !== undefined);
    await this.#file.append(bytes, isAwaited);
    this.#full = undefined;
    const compaction = this.#compaction;
    if (compaction !== undefined && !batch.every(({ json }) => compaction.carry(json)))
      this.#giveUp(compaction, new Error("too much was appended meanwhile to keep in memory"));
  }

  /**
   * Throws the cause of a failure. The file then takes no more appends, except after a full disk, which keeps the old
   * file.
   */
  async #rewrite(): Promise<void> {
    const old = this.#file;
    try {
      await old.requireSame();
      this.#file = await rewriteAsCurrent(this.#path, this.#options.kind, old.bytes);
    } catch (thrown) {
      // The batch itself was not written: it is refused with certainty.
      const cause = thrown instanceof UncertainWrite ? thrown.cause : thrown;
      if (cause !== thrown || !isFullDisk(cause)) old.fail(cause as Error);
      throw cause;
    }
    this.#isOutdated = false;
    await old.close();
  }

  /**
   * Records that all before is on the disk, unless a later line does: damage to the last acknowledged record then
   * cannot look like a torn write. Needs no sync: only a crash of the machine can lose a seal, and no caller depends on
   * it.
   */
  async #seal(): Promise<void> {
    const { bytes, syncedBytes } = this.#file;
    if (this.failure !== undefined || bytes !== syncedBytes) return;
    try {
      await this.#file.append(encodeLine(seal, syncedBytes), false);
    } catch (thrown) {
      if (this.#file.isFailed) this.#fail(thrown);
    }
  }

  async #refuse(batch: readonly Pending[], cause: unknown): Promise<void> {
    const isCut = !(cause instanceof UncertainWrite);
    const written = isCut ? wholeWithin(this.#file.cutBytes, batch) : batch;
    const readable = written.filter(({ reject }) => reject !== undefined);
    const isCertain = readable.length === 0 || (isCut && (await this.#isUnread()));
    // A begun change stays unknown until a restart has read the file; an end is kept, and written later.
    if (!isCertain && readable.some(({ need }) => need === "may")) this.#file.fail(cause as Error);
    const failure = this.#fail(cause);
    // Its snapshot may contain refused records.
    if (this.#compaction !== undefined) this.#giveUp(this.#compaction, failure);
    const unknown = new Set(isCertain ? [] : readable);
    for (const one of batch) one.reject?.(unknown.has(one) ? outcomeUnknown(this.#path, cause) : failure);
  }

  /** No reader finds the cut records: neither in the file nor in an older copy of it. */
  async #isUnread(): Promise<boolean> {
    try {
      await this.#options.beforeRefused?.();
      await this.#file.requireSame();
      return true;
    } catch {
      return false;
    }
  }

  /** Waiting records were not written, and are refused with certainty unless the file continues. Returns the refusal. */
  #fail(cause: unknown): SocleError {
    const isPassing = isFullDisk(cause) && !this.#file.isFailed;
    const failure = journalFailed(this.#path, cause, isPassing);
    if (this.#full === undefined) this.#options.log.error({ path: this.#path, err: cause }, failure.message);
    if (isPassing) return (this.#full = failure);
    this.#failure = failure;
    for (const { reject } of this.#pending.splice(0)) reject?.(failure);
    return failure;
  }

  async #compactWhereDue(isSnapshotDone: boolean): Promise<void> {
    if (this.#failure !== undefined || this.#isOutdated) return;
    if (isSnapshotDone && this.#compaction !== undefined) {
      this.#snapshotDone = false;
      await this.#switchTo(this.#compaction);
    }
    if (
      this.#file.bytes <= this.#compactAbove ||
      this.#compaction !== undefined ||
      this.#closing !== undefined
    )
      return;
    const compaction = new JournalCompaction(this.#path, this.#snapshot(), (failure) => {
      if (this.#compaction !== compaction) return; // given up meanwhile
      if (failure === undefined) {
        this.#snapshotDone = true;
        this.#wake();
      } else if (this.#closing === undefined) {
        this.#giveUp(compaction, failure);
      }
    });
    this.#compaction = compaction;
  }

  *#snapshot(): Generator<string> {
    yield header(this.#options.kind);
    for (const record of this.#options.live()) yield JSON.stringify(record);
    yield seal;
  }

  async #switchTo(compaction: JournalCompaction): Promise<void> {
    const old = this.#file;
    try {
      await compaction.complete();
    } catch (thrown) {
      this.#giveUp(compaction, thrown);
      return;
    }
    try {
      await old.requireSame();
      this.#file = await compaction.takeOver(this.#path);
    } catch (thrown) {
      // Both files have all acknowledged records; which of them is the journal after a restart is not known.
      old.fail(toError(thrown));
      this.#fail(thrown);
      return;
    }
    this.#compaction = undefined;
    const least = this.#options.compactAboveBytes ?? defaultCompactAboveBytes;
    this.#compactAbove = Math.max(least, this.#file.bytes * 2);
    await old.close();
    this.#options.log.debug(
      { path: this.#path, before: old.bytes, after: this.#file.bytes },
      "journal compacted",
    );
  }

  #giveUp(compaction: JournalCompaction, failure: unknown): void {
    this.#compaction = undefined;
    this.#snapshotDone = false;
    this.#compactAbove = this.#file.bytes * 2;
    this.#options.log.warn(
      { path: this.#path, err: failure },
      "the journal could not be compacted; it keeps growing",
    );
    void compaction.discard().catch(() => undefined);
  }
}
