import type { Clock } from "../kernel/clock.ts";
import { SocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { makeDirectory } from "../kernel/make-directory.ts";
import { Topic } from "../kernel/concurrency/topic.ts";
import { isFullDisk, UncertainWrite } from "../state/journal/durable-file.ts";
import { digestOf, encodeLink, linked } from "./chain.ts";
import { AuditKey, readHead, writeHead, type Attested, type Checkpoint } from "./checkpoint.ts";
import { encodeEntry, type Act } from "./entry.ts";
import { findLog, nothingFound, type Found } from "./found.ts";
import { beginning, type ChainPoint } from "./follow.ts";
import { auditFailed, busy, notOpened, outcomeUnknown, stopping } from "./refusals.ts";
import { readPage, type Page, type PageQuery } from "./page.ts";
import { Repeats } from "./repeats.ts";
import { Segments, type Keeping } from "./segments.ts";

interface AuditLogOptions extends Keeping {
  /** The log's own directory, below the state directory. */
  readonly directory: string;
  /** This host had a log before: a missing one was lost. */
  readonly mustExist?: boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

/** For metrics and health. */
export interface AuditState {
  /** The newest durable entry. */
  readonly sequence: number;
  readonly bytes: number;
  /** Acts waiting to be written. */
  readonly waiting: number;
  /** Acts that could not be recorded since the start, and so were refused. */
  readonly refused: number;
  /** What the start found missing. */
  readonly damage?: string | undefined;
  /** Why the start could not read it: its entries are unknown then. */
  readonly unreadable?: string | undefined;
}

/** The log's files and key. */
interface Files {
  readonly key: AuditKey;
  readonly segments: Segments;
}

interface Pending {
  readonly act: Act;
  readonly resolve?: (sequence: number) => void;
  readonly reject?: (error: SocleError) => void;
}

/** Entries of one write: encoding and hashing them stays under 5 ms of the event loop. */
const batchEntries = 128;
const maxWaiting = 20_000;
/** Maximum lag of a checkpoint behind the newest entry. */
const checkpointAfterMs = 1000;
const checkpointEntries = 1000;

/**
 * The host's audit log: a hash chain over all acts, with signed checkpoints. All acts that wait to become durable share one
 * write and one fdatasync.
 */
export class AuditLog {
  readonly #options: AuditLogOptions;
  /** The failure where the log could not be opened. */
  readonly #files: Files | SocleError;
  readonly #damage: string | undefined;
  readonly #changes = new Topic<void>();
  readonly #over = new AbortController();
  readonly #repeats: Repeats;
  #isCheckpointTimed = false;
  #point: ChainPoint;
  #syncedSequence: number;
  #unsigned: number;
  #checkpointDue: boolean;
  #newest: Checkpoint | undefined;
  /** Callers that wait for a signature. */
  #signers: (() => void)[] = [];
  #pending: Pending[] = [];
  #isPumping = false;
  #pumped: Promise<void> = Promise.resolve();
  /** The last write found no space. */
  #full: { readonly error: SocleError; readonly sinceMs: number } | undefined;
  /** Permanent. */
  #failure: SocleError | undefined;
  #refused = 0;
  /** Refused acts that are in the log. */
  #refusedReported = 0;
  #isClosed = false;

  /**
   * Opens the log or creates it. When its key or a file cannot be read, they stay unchanged and every method that needs them
   * fails with `failure`: `unavailable` STATE_UNREADABLE, which names the file and the remedy.
   */
  static async open(options: AuditLogOptions): Promise<AuditLog> {
    const { directory, clock, log } = options;
    try {
      await makeDirectory(directory, 0o700);
      const key = await AuditKey.open(directory);
      const found = await findLog(directory, key.public, options.mustExist === true);
      const segments = await Segments.open(directory, found, options, clock.now());
      const audit = new AuditLog(options, { key, segments }, found);
      const { tornBytes, damage } = found;
      if (tornBytes > 0)
        log.warn({ bytes: tornBytes }, "the audit log ended in a torn entry, which was cut off");
      if (damage !== undefined) {
        log.error({ damage }, "the audit log is damaged or was tampered with; run: socle audit verify");
        audit.note({ act: "log_found_damaged", outcome: "failed", reason: damage });
      }
      return audit;
    } catch (thrown) {
      return new AuditLog(options, notOpened(directory, thrown), nothingFound);
    }
  }

  private constructor(options: AuditLogOptions, files: Files | SocleError, found: Found) {
    this.#options = options;
    this.#files = files;
    if (files instanceof SocleError) this.#failure = files;
    this.#point = found.point;
    this.#syncedSequence = found.point.sequence;
    this.#unsigned = found.unsigned;
    this.#checkpointDue = found.unsigned > 0;
    this.#damage = found.damage;
    this.#repeats = new Repeats(options.clock, (act) => this.note(act));
  }

  get state(): AuditState {
    const files = this.#files;
    return {
      sequence: this.#syncedSequence,
      bytes: files instanceof SocleError ? 0 : files.segments.bytes,
      waiting: this.#pending.length,
      refused: this.#refused,
      damage: this.#damage,
      unreadable: files instanceof SocleError ? files.message : undefined,
    };
  }

  /** Why acts are refused now: permanently, or until there is space. */
  get failure(): SocleError | undefined {
    return this.#failure ?? this.#full?.error;
  }

  /** A statement by this host, signed by its audit key. Throws why the log could not be opened. */
  attest(statement: Readonly<Record<string, unknown>>): Attested {
    return this.#opened.key.attest(statement, this.#options.clock.now());
  }

  get directory(): string {
    return this.#options.directory;
  }

  /** After each change of `state.sequence`. */
  subscribe(signal: AbortSignal): AsyncIterable<unknown> {
    return this.#changes.subscribe(signal, 1);
  }

  /**
   * Resolves to the act's sequence when it is on the disk. Rejects with AUDIT_FAILED (`exhausted` while the disk is full,
   * `unavailable` for good once a write or sync failed otherwise, `outcome_unknown` where a restart may find the act) and
   * `exhausted` AUDIT_BUSY: the act is not to be done.
   */
  record(act: Act): Promise<number> {
    return new Promise((resolve, reject) => {
      const refusal = this.#failure ?? (this.#isClosed ? stopping() : undefined);
      if (refusal !== undefined) this.#refuse(reject, refusal);
      else if (this.#pending.length >= maxWaiting / 2) this.#refuse(reject, busy());
      else this.#push({ act, resolve, reject });
    });
  }

  /**
   * For past events: keeps its order and becomes durable within about a second; while the disk is full it waits in memory.
   */
  note(act: Act): void {
    if (this.#isClosed || this.#failure !== undefined || this.#pending.length >= maxWaiting)
      this.#refused += 1;
    else this.#push({ act });
  }

  /** As `note`, for acts that callers can repeat at will: the first of a kind, then a count within ten seconds. */
  noteRepeatable(act: Act): void {
    this.#repeats.add(act);
  }

  /** A page of durable entries. Throws why the log could not be opened, and the file system's errors. */
  async page(query: PageQuery): Promise<Page> {
    if (this.#files instanceof SocleError) throw this.#files;
    return await readPage(this.#options.directory, query);
  }

  /** Signs all durable entries. Throws as `record` rejects. */
  async checkpoint(): Promise<Checkpoint> {
    const through = this.#unsigned === 0 ? 0 : this.#point.sequence;
    while ((this.#newest?.sequence ?? 0) < through && this.failure === undefined) {
      const looked = new Promise<void>((resolve) => this.#signers.push(resolve));
      this.#wake(true);
      await looked;
    }
    if (this.failure !== undefined) throw this.failure;
    // If all was signed before this start, it is on the disk.
    const newest = this.#newest ?? (await readHead(this.#options.directory));
    if (newest === undefined) throw busy();
    return newest;
  }

  /** After a full disk: tries a write, and updates `failure`. Never rejects. */
  async tryAgain(): Promise<void> {
    await this.#pumped;
    if (this.#full === undefined) return;
    this.#wake(true);
    await this.#pumped;
  }

  /** Writes pending acts, signs, and closes. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#repeats.close();
    this.#isClosed = true;
    this.#over.abort();
    await this.#pumped;
    this.#wake(true);
    await this.#pumped;
    if (!(this.#files instanceof SocleError)) await this.#files.segments.close();
  }

  get #opened(): Files {
    if (this.#files instanceof SocleError) throw this.#files;
    return this.#files;
  }

  #refuse(reject: ((error: SocleError) => void) | undefined, refusal: SocleError): void {
    this.#refused += 1;
    reject?.(refusal);
  }

  #push(pending: Pending): void {
    this.#pending.push(pending);
    this.#wake();
  }

  #wake(toSign = false): void {
    this.#checkpointDue ||= toSign;
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#pumped = this.#pump();
  }

  async #pump(): Promise<void> {
    await Promise.resolve(); // all acts of this turn go into the first batch
    while (this.#failure === undefined && (this.#pending.length > 0 || this.#checkpointDue)) {
      const batch = this.#pending.splice(0, batchEntries);
      try {
        if (this.#opened.segments.isFull(this.#point, this.#options.clock.now())) await this.#turnOver();
        await this.#write(batch);
      } catch (thrown) {
        this.#fail(thrown, batch);
        break;
      }
    }
    this.#isPumping = false;
  }

  async #write(batch: readonly Pending[]): Promise<void> {
    const { clock } = this.#options;
    const { key, segments } = this.#opened;
    let point = this.#point;
    let text = "";
    const add = (act: Act): number => {
      const sequence = point.sequence + 1;
      const json = encodeEntry(act, sequence, key.markOf(act.tenant, sequence), clock.now());
      point = { sequence, hash: linked(point.hash, digestOf(json)) };
      text += encodeLink({ hash: point.hash, json });
      return point.sequence;
    };
    const refused = this.#refused;
    if (this.#full !== undefined) add(unwritable(this.#full.sinceMs, refused - this.#refusedReported));
    const sequences = batch.map(({ act }) => add(act));
    const unsigned = this.#unsigned + point.sequence - this.#point.sequence;
    const isDue = unsigned > 0 && (this.#checkpointDue || unsigned >= checkpointEntries);
    this.#checkpointDue = false;
    const checkpoint = isDue ? key.sign(point.sequence, point.hash, clock.now()) : undefined;
    if (checkpoint !== undefined) add({ act: "checkpoint", details: { ...checkpoint } });
    const isSynced = checkpoint !== undefined || batch.some(({ resolve }) => resolve !== undefined);
    if (this.#point.sequence === 0 && this.#damage === undefined) await this.#signBeginning();
    await segments.append(text, isSynced);
    this.#point = point;
    this.#unsigned = checkpoint === undefined ? unsigned : 0;
    if (this.#full !== undefined) this.#options.log.info("the audit log is written again");
    this.#full = undefined;
    this.#refusedReported = refused;
    if (this.#unsigned > 0) this.#timeCheckpoint();
    if (isSynced) this.#syncedSequence = point.sequence;
    batch.forEach(({ resolve }, index) => resolve?.(sequences[index] ?? 0));
    if (checkpoint !== undefined) {
      this.#newest = checkpoint;
      await this.#keepHead(checkpoint);
      this.#wakeSigners();
    }
    if (isSynced) this.#changes.publish();
  }

  async #keepHead(checkpoint: Checkpoint): Promise<void> {
    try {
      await writeHead(this.#options.directory, checkpoint);
    } catch (err) {
      // The log has it as well; the next one is stored there.
      this.#options.log.warn({ err }, "the audit log's newest checkpoint could not be stored beside it");
    }
  }

  /** Before the first entry: entries without any checkpoint were tampered with, however early. */
  async #signBeginning(): Promise<void> {
    const { directory, clock } = this.#options;
    if ((await readHead(directory)) !== undefined) return;
    await writeHead(directory, this.#opened.key.sign(beginning.sequence, beginning.hash, clock.now()));
  }

  #timeCheckpoint(): void {
    if (this.#isCheckpointTimed || this.#isClosed) return;
    this.#isCheckpointTimed = true;
    this.#options.clock.sleep(checkpointAfterMs, this.#over.signal).then(
      () => {
        this.#isCheckpointTimed = false;
        this.#wake(true);
      },
      () => undefined,
    );
  }

  #fail(cause: unknown, batch: readonly Pending[]): void {
    const { log, clock, directory } = this.#options;
    const isFull = isFullDisk(cause) && !this.#opened.segments.isFailed;
    const error = auditFailed(directory, cause, isFull);
    if (this.#full === undefined) log.error({ err: cause }, error.message);
    if (isFull) this.#full ??= { error, sinceMs: clock.now() };
    else this.#failure = error;
    const written = cause instanceof UncertainWrite ? outcomeUnknown(directory, cause) : error;
    // Waiting acts are refused now, instead of waiting for space; past events are kept until there is some.
    const answer = (waiting: readonly Pending[], refusal: SocleError): void => {
      for (const pending of waiting) {
        if (isFull && pending.reject === undefined) this.#pending.push(pending);
        else this.#refuse(pending.reject, refusal);
      }
    };
    const behind = this.#pending.splice(0);
    answer(batch, written);
    answer(behind, error);
    this.#checkpointDue = false;
    this.#wakeSigners();
  }

  #wakeSigners(): void {
    for (const wake of this.#signers.splice(0)) wake();
  }

  /** Signs pending entries, begins a new file, and deletes expired ones. */
  async #turnOver(): Promise<void> {
    const { clock, log } = this.#options;
    const { segments } = this.#opened;
    this.#checkpointDue = true;
    await this.#write([]);
    await segments.begin(this.#point, clock.now());
    const old = segments.overTheirTime(clock.now());
    if (old === undefined) return;
    const { sequence: through, hash } = old.through;
    // Recorded before the deletion: otherwise the gap would look like tampering.
    this.#checkpointDue = true;
    await this.#write([{ act: { act: "segments_dropped", details: { through, hash } } }]);
    await segments.drop(old.count);
    log.info({ through }, "old audit entries were deleted");
  }
}

const unwritable = (sinceMs: number, times: number): Act => ({
  act: "log_was_unwritable",
  outcome: "failed",
  times,
  details: { since: new Date(sinceMs).toISOString() },
});
