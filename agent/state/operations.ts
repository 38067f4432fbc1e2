import { abortReason, type Clock } from "../kernel/clock.ts";
import type { BootClock } from "../kernel/boot-clock.ts";
import type { QueueItem } from "../kernel/bounded-queue.ts";
import { isUncertain, SocleError, toSocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import { Topic } from "../kernel/topic.ts";
import { Journal } from "./journal.ts";
import { OperationBounds, type BoundsOptions } from "./operation-bounds.ts";
import { isDone, type Behalf, type Operation, type OperationError } from "./operation.ts";
import { checkRequestId, notFound, notOpen, reused, stopping } from "./operation-refusals.ts";
import { OperationIds } from "./operation-id.ts";
import { OperationTally, type OperationTotals } from "./operation-tally.ts";
import { OperationTable, withEnd, type End, type Entry } from "./operation-table.ts";
import { OperationRun, type Step } from "./operation-run.ts";

export type { Step } from "./operation-run.ts";

export interface OperationsOptions extends BoundsOptions {
  readonly directory: string;
  readonly clock: Clock;
  /** Without it, retention over restarts is on the wall clock. */
  readonly boot?: BootClock;
  readonly log: Logger;
  /** How long an ended operation and its request id are kept. */
  readonly retentionMs: number;
  /** As Journal's. */
  readonly compactAboveBytes?: number;
}

export interface BeginRequest {
  readonly requestId: string;
  /** Who asks, as idempotency counts: the same id of another caller is another request. */
  readonly caller: string;
  readonly behalf?: Behalf | undefined;
  /** Upper snake: CREATE_VM. */
  readonly kind: string;
  readonly vmId: string;
  /** The instance of the VM that it is for. */
  readonly instance?: string | undefined;
  /** Digest of the request's body without its id. */
  readonly fingerprint: string;
  /** JSON; kept until the operation is done. */
  readonly intent: unknown;
  /** It relieves the host, as a stop does: there is room for it when there is none for others. */
  readonly urgent?: boolean;
}

/** How an operation ended. */
export type Outcome =
  | { readonly state: "succeeded"; readonly result?: Readonly<Record<string, string>> }
  | { readonly state: "failed" | "cancelled"; readonly error: unknown };

export interface ListOptions {
  readonly vmId?: string;
  readonly onlyRunning?: boolean;
  /** Goes on behind this operation of the page before. */
  readonly afterId?: string;
  readonly limit: number;
}

// A timer of more than 2^31 ms would fire at once.
const maxWaitMs = 86_400_000;

/** The mutations of this host: each durable before its effect, each with one end that is durable before it is told. */
export class Operations {
  /** Operations that had no end when the agent last stopped, oldest first. settle() or run() ends them. */
  readonly interrupted: readonly Operation[];

  readonly #clock: Clock;
  readonly #boot: BootClock | undefined;
  readonly #log: Logger;
  readonly #bounds: OperationBounds;
  readonly #journal: Journal;
  readonly #table: OperationTable;
  readonly #ids: OperationIds;
  readonly #tally = new OperationTally();
  readonly #changes = new Topic<Operation>();
  readonly #runs = new Map<string, OperationRun>();
  readonly #waiters = new Map<string, Set<() => void>>();
  #state: "open" | "draining" | "closed" = "open";
  #drained: (() => void) | undefined;

  /** Throws what Journal.open throws. */
  static async open(options: OperationsOptions): Promise<Operations> {
    const { clock, boot, log, directory, retentionMs } = options;
    const table = new OperationTable({ retentionMs, clock, boot });
    const journal = await Journal.open(`${directory}/operations.journal`, {
      kind: "operations",
      log,
      replay: (record) => table.replay(record),
      live: () => table.live(),
      ...(options.compactAboveBytes === undefined ? {} : { compactAboveBytes: options.compactAboveBytes }),
    });
    table.replayed();
    return new Operations(options, journal, table);
  }

  private constructor(options: OperationsOptions, journal: Journal, table: OperationTable) {
    this.#clock = options.clock;
    this.#boot = options.boot;
    this.#log = options.log;
    this.#bounds = new OperationBounds(options);
    this.#journal = journal;
    this.#table = table;
    this.#ids = new OperationIds(() => options.clock.now());
    const newest = table.newestId();
    if (newest !== undefined) this.#ids.startAfter(newest);
    this.interrupted = table.withoutEnd();
    if (this.interrupted.length > 0) {
      this.#log.info({ operations: this.interrupted.length }, "operations without an end were found");
    }
  }

  /** How many are being worked on now. */
  get running(): number {
    return this.#runs.size;
  }

  /** How many are held, ended ones included. */
  get retained(): number {
    return this.#table.size;
  }

  get journalPendingBytes(): number {
    return this.#journal.pendingBytes;
  }

  /** Of a kind, since the agent started. */
  totals(kind: string): OperationTotals {
    return this.#tally.of(kind);
  }

  /** Set while the journal cannot be written: every begin is refused with it. */
  get failure(): SocleError | undefined {
    return this.#journal.failure;
  }

  /** As Journal.tryAgain. */
  tryAgain(): Promise<void> {
    return this.#journal.tryAgain();
  }

  /**
   * The operation that this caller's request made before, if it did: known at once, durable when it resolves. For those
   * who must refuse a new request before it begins, and never one that is only repeated. Throws as begin() does.
   */
  find(request: Omit<BeginRequest, "vmId" | "intent" | "urgent">): Promise<Operation> | undefined {
    checkRequestId(request.requestId);
    const held = this.#table.byRequest(request.caller, request.requestId);
    if (held === undefined) return undefined;
    if (held.fingerprint !== request.fingerprint || held.recorded.kind !== request.kind) {
      throw reused(request.requestId, held.recorded.id);
    }
    return Promise.resolve(held.durable).then(() => held.shown ?? held.recorded);
  }

  /**
   * Checks at once, resolves when the operation is durable. fresh=false: this caller sent this id with this body before,
   * and gets that operation as it is now. Throws `conflict` REQUEST_ID_REUSED for another body, `invalid`
   * REQUEST_ID_INVALID, `exhausted` TOO_MANY_OPERATIONS, `unavailable` AGENT_STOPPING, the journal's errors: after
   * `outcome_unknown` the same request is answered so until a restart has found the operation, or not.
   */
  async begin(request: BeginRequest): Promise<{ operation: Operation; fresh: boolean }> {
    const before = this.find(request);
    if (before !== undefined) return { operation: await before, fresh: false };
    if (this.#state !== "open") throw stopping();
    this.#table.forgetExpired();
    const refusal = this.#bounds.refusal(this.#table, request);
    if (refusal !== undefined) throw refusal;
    const operation: Operation = {
      id: this.#ids.next(),
      requestId: request.requestId,
      kind: request.kind,
      vmId: request.vmId,
      ...(request.instance === undefined ? {} : { instance: request.instance }),
      caller: request.caller,
      ...(request.behalf === undefined ? {} : { behalf: request.behalf }),
      state: "running",
      steps: [],
      progress: 0,
      createdAtMs: this.#clock.now(),
      result: {},
      intent: request.intent,
    };
    const record = { t: "begin" as const, operation, fingerprint: request.fingerprint };
    const entry = this.#table.add(record);
    entry.durable = this.#journal.append(record);
    try {
      await entry.durable;
    } catch (thrown) {
      // One that a restart may find keeps its request id: repeated before that, it must not begin a second time.
      if (!isUncertain(thrown)) this.#table.remove(entry);
      throw thrown;
    }
    this.#show(entry);
    return { operation, fresh: true };
  }

  /**
   * Works on an operation that begin() made (or an interrupted one) in the background. What the work returns is the result.
   * A SocleError of kind outcome_unknown leaves it in that state for settle(); an error after cancel() makes it
   * `cancelled`. Throws `conflict` when it is done or already worked on.
   */
  run(
    operation: Operation,
    work: (step: Step, signal: AbortSignal) => Promise<Record<string, string>>,
  ): void {
    const entry = this.#entry(operation.id);
    if (this.#runs.has(operation.id) || isDone(entry.recorded)) throw notOpen(entry.recorded);
    if (entry.recorded.state === "outcome_unknown") {
      const { error: _settledAnew, ...rest } = entry.recorded;
      entry.recorded = { ...rest, state: "running" };
      this.#show(entry);
    }
    const run = new OperationRun({
      clock: this.#clock,
      operation: () => entry.recorded,
      mayStart: () => this.#state !== "closed",
      change: (change, index, need) => {
        entry.recorded = { ...entry.recorded, ...change };
        const { progress, steps } = entry.recorded;
        const record = { t: "step", id: operation.id, index, step: steps[index], progress };
        this.#show(entry);
        if (need === "durably") return this.#journal.append(record);
        this.#journal.appendLazily(record);
        return Promise.resolve();
      },
    });
    this.#runs.set(operation.id, run);
    void this.#execute(entry, run, work);
  }

  async #execute(
    entry: Entry,
    run: OperationRun,
    work: (step: Step, signal: AbortSignal) => Promise<Record<string, string>>,
  ): Promise<void> {
    let end: End;
    try {
      end = { state: "succeeded", progress: 1, result: await work(run.step, run.signal) };
    } catch (thrown) {
      const error = toSocleError(thrown);
      const honoured = run.signal.aborted && error.kind === "cancelled";
      const state = error.kind === "outcome_unknown" ? "outcome_unknown" : honoured ? "cancelled" : "failed";
      end = { state, error: errorOf(error) };
      if (error.kind === "internal")
        this.#log.error({ operation: entry.recorded.id, err: thrown }, "operation failed");
    }
    // Once closed, an end could no longer be made durable: the next start finds the operation interrupted.
    if (this.#state !== "closed") await this.#end(entry, end).catch(() => undefined);
    this.#runs.delete(entry.recorded.id);
    if (this.#runs.size === 0) this.#drained?.();
  }

  /** Makes a change of state durable, then shows it. Where that fails the outcome is unknown to all but this process. */
  async #end(entry: Entry, end: End): Promise<void> {
    const before = entry.recorded;
    const done = end.state !== "outcome_unknown";
    entry.recorded = withEnd(before, done ? { ...end, ...this.#endedNow() } : end);
    const { id, state, progress, result, error, endedAtMs, endedSinceBoot, cancelledBy } = entry.recorded;
    const record = { t: "end", id, state, progress, result, error, endedAtMs, endedSinceBoot, cancelledBy };
    try {
      await this.#journal.append(record, "must");
    } catch (thrown) {
      const failure = toSocleError(thrown);
      entry.recorded = withEnd(before, { state: "outcome_unknown", error: errorOf(failure) });
      this.#show(entry);
      throw failure;
    }
    if (done) {
      this.#table.ended(entry);
      this.#tally.ended(entry.recorded);
    }
    this.#show(entry);
  }

  #endedNow(): Pick<Operation, "endedAtMs" | "endedSinceBoot"> {
    const endedAtMs = this.#clock.now();
    if (this.#boot === undefined) return { endedAtMs };
    return { endedAtMs, endedSinceBoot: { bootId: this.#boot.bootId, ms: this.#boot.ms() } };
  }

  /**
   * Ends an operation whose outcome was unknown, or that was interrupted, by what observation found. Durable when it
   * resolves. Throws `not_found`, `conflict` OPERATION_NOT_OPEN when it is done or still worked on.
   */
  async settle(id: string, outcome: Outcome): Promise<Operation> {
    const entry = this.#entry(id);
    if (this.#runs.has(id) || isDone(entry.recorded)) throw notOpen(entry.recorded);
    await this.#end(
      entry,
      outcome.state === "succeeded"
        ? { state: "succeeded", progress: 1, result: outcome.result ?? {} }
        : { state: outcome.state, error: errorOf(toSocleError(outcome.error)) },
    );
    return entry.recorded;
  }

  /** Throws `not_found` OPERATION_NOT_FOUND. */
  get(id: string): Operation {
    return this.#entry(id).shown ?? notFound(id);
  }

  /** Newest first. Pages stay stable: later operations come before, ended ones stay in place. */
  list(options: ListOptions): readonly Operation[] {
    return this.#table.list(options);
  }

  /** Resolves when the operation is done or the time is over, with the operation as it is then. */
  async wait(id: string, timeoutMs: number, signal: AbortSignal): Promise<Operation> {
    if (isDone(this.get(id))) return this.get(id);
    if (signal.aborted) throw abortReason(signal);
    const over = new AbortController();
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters);
    const end = (): void => over.abort();
    waiters.add(end);
    signal.addEventListener("abort", end);
    try {
      await this.#clock.sleep(Math.min(timeoutMs, maxWaitMs), over.signal).catch(() => undefined);
      signal.throwIfAborted();
    } finally {
      signal.removeEventListener("abort", end);
      waiters.delete(end);
      if (waiters.size === 0) this.#waiters.delete(id);
    }
    return this.get(id);
  }

  /**
   * Asks the work to stop where it can; its end says whether it did, and who asked first. Throws `not_found`, `conflict` NOT_CANCELLABLE
   * when it is done or nothing works on it.
   */
  cancel(id: string, caller: string): Operation {
    const operation = this.get(id);
    const run = this.#runs.get(id);
    if (run === undefined || isDone(operation)) {
      throw new SocleError(
        "conflict",
        "NOT_CANCELLABLE",
        `operation ${id} cannot be cancelled: it is ${operation.state}`,
      );
    }
    const entry = this.#entry(id);
    entry.recorded = { cancelledBy: caller, ...entry.recorded };
    this.#show(entry);
    run.cancel();
    return entry.recorded;
  }

  /** Every change of an operation from now on; `overflow` when the reader was too slow. Ends with the signal. */
  watch(signal: AbortSignal): AsyncIterable<QueueItem<Operation>> {
    return this.#changes.subscribe(signal);
  }

  /**
   * At stop: takes no more, waits for those under way, then closes the journal. What is left keeps working on the step it
   * is in, starts no other, and has no end in the journal: `interrupted` at the next start.
   */
  async drain(timeoutMs: number): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "draining";
    if (this.#runs.size > 0) {
      const over = new AbortController();
      this.#drained = () => over.abort();
      await this.#clock.sleep(timeoutMs, over.signal).catch(() => undefined);
    }
    this.#state = "closed";
    if (this.#runs.size > 0) {
      this.#log.warn(
        { operations: [...this.#runs.keys()] },
        "stopping with operations under way; the next start settles them",
      );
    }
    await this.#journal.close();
  }

  #show(entry: Entry): void {
    const operation = entry.recorded;
    entry.shown = operation;
    this.#changes.publish(operation);
    if (isDone(operation)) for (const done of this.#waiters.get(operation.id) ?? []) done();
  }

  #entry(id: string): Entry {
    return this.#table.get(id) ?? notFound(id);
  }
}

const errorOf = ({ kind, reason, message, details }: SocleError): OperationError => ({
  kind,
  reason,
  message,
  metadata: details.metadata ?? {},
});
