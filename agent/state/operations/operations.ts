import type { QueueItem } from "../../kernel/concurrency/bounded-queue.ts";
import { isUncertain, toSocleError, type SocleError } from "../../kernel/errors.ts";
import { Topic } from "../../kernel/concurrency/topic.ts";
import type { Journal } from "../journal/journal.ts";
import { OperationBounds } from "./bounds.ts";
import { openOperationJournal } from "./operation-journal.ts";
import { errorOf, isDone, isUnsettled, type End, type Operation, type Outcome } from "./operation.ts";
import {
  checkRequestId,
  notCancellable,
  notFound,
  notOpen,
  reused,
  stopping,
  unsettled,
} from "./refusals.ts";
import type { BeginRequest, ListOptions, OperationsOptions } from "./requests.ts";
import { OperationIds } from "./operation-id.ts";
import { OperationTally, type OperationTotals } from "./tally.ts";
import { OperationEnds, type EndSource } from "./ends.ts";
import { endOf, type Entry, type OperationTable } from "./operation-table.ts";
import { OperationWaiters } from "./waiters.ts";
import { MOST_FORGOTTEN_AT_ONCE } from "./retention.ts";
import { OperationRun, type Step } from "./run.ts";
import { defined } from "../../kernel/defined.ts";

export type { BeginRequest, ListOptions, OperationsOptions } from "./requests.ts";
export type { Step } from "./run.ts";

/** The mutations of this host: each durable before its effect, each with one end that is durable before it is shown. */
export class Operations {
  /**
   * Operations that were unfinished when the agent last stopped, oldest first. They are `outcome_unknown` until
   * settle() or run() ends them.
   */
  readonly interrupted: readonly Operation[];

  readonly #options: OperationsOptions;
  readonly #isOutdated: (id: string) => boolean;
  readonly #bounds: OperationBounds;
  readonly #journal: Journal;
  readonly #table: OperationTable;
  readonly #ids: OperationIds;
  readonly #tally = new OperationTally();
  readonly #changes = new Topic<Operation>();
  readonly #runs = new Map<string, OperationRun>();
  readonly #ends: OperationEnds;
  /** Operations without a run whose end is being written. */
  readonly #ending = new Set<string>();
  /** Operations of unknown outcome whose work runs again. */
  readonly #settling = new Set<string>();
  readonly #waiters: OperationWaiters;
  #state: "open" | "draining" | "closed" = "open";
  #drained: (() => void) | undefined;

  /** Throws what Journal.open throws. */
  static async open(options: OperationsOptions): Promise<Operations> {
    const { journal, table } = await openOperationJournal(options);
    return new Operations(options, journal, table);
  }

  private constructor(options: OperationsOptions, journal: Journal, table: OperationTable) {
    this.#options = options;
    this.#isOutdated = options.isOutdated ?? ((): boolean => false);
    this.#waiters = new OperationWaiters(options.clock);
    this.#bounds = new OperationBounds(options);
    this.#journal = journal;
    this.#ends = new OperationEnds(options, journal, (entry) => this.#written(entry));
    this.#table = table;
    this.#ids = new OperationIds(() => options.clock.now());
    const newest = table.index.newestId;
    if (newest !== undefined) this.#ids.startAfter(newest);
    this.interrupted = table.withoutEnd();
    this.#ends.found(this.interrupted);
    if (this.interrupted.length > 0)
      this.#options.log.info({ operations: this.interrupted.length }, "unfinished operations were found");
  }

  /** Number of operations in progress. */
  get running(): number {
    return this.#runs.size;
  }

  /** Number of operations held, ended ones included. */
  get retained(): number {
    return this.#table.size;
  }

  get journalPendingBytes(): number {
    return this.#journal.pendingBytes;
  }

  /** Totals of a kind since the agent started. */
  totals(kind: string): OperationTotals {
    return this.#tally.of(kind);
  }

  /** Set while the journal cannot be written: every begin is refused with it. */
  get failure(): SocleError | undefined {
    return this.#journal.failure;
  }

  /** Why this agent may change nothing now, for changes that are no operations. */
  get refusal(): SocleError | undefined {
    return this.#bounds.permit.refusal;
  }

  /** Resolves once operations may continue, or the signal aborts. */
  untilPermitted(signal: AbortSignal): Promise<void> {
    return this.#bounds.permit.untilAllowed(signal);
  }

  /** As Journal.tryAgain. */
  tryAgain(): Promise<void> {
    return this.#journal.tryAgain();
  }

  /**
   * The operation that this caller's request made before, if any: known at once, durable when it resolves. For callers
   * that must refuse a new request before it begins, but never a repeated one. Throws as begin() does.
   */
  find(
    request: Pick<BeginRequest, "requestId" | "caller" | "kind" | "fingerprint">,
  ): Promise<Operation> | undefined {
    checkRequestId(request.requestId);
    const held = this.#table.byRequest(request.caller, request.requestId);
    if (held === undefined) return undefined;
    if (held.fingerprint !== request.fingerprint || held.recorded.kind !== request.kind)
      throw reused(request.requestId, held.recorded.id);
    return Promise.resolve(held.durable).then(() => held.shown ?? held.recorded);
  }

  /**
   * Checks at once, resolves when the operation is durable. fresh=false: this caller sent this id with this body
   * before, and gets that operation in its current state. Throws `conflict` REQUEST_ID_REUSED for another body,
   * `invalid` REQUEST_ID_INVALID, `exhausted` TOO_MANY_OPERATIONS, `unavailable` AGENT_STOPPING, and the journal's
   * errors: after `outcome_unknown` the same request gets that error until a restart shows whether the operation
   * exists. Throws `conflict` OPERATION_UNSETTLED while another operation of the VM is `outcome_unknown`.
   */
  async begin(request: BeginRequest): Promise<{ operation: Operation; fresh: boolean }> {
    const before = this.find(request);
    if (before !== undefined) return { operation: await before, fresh: false };
    if (this.#state !== "open") throw stopping();
    this.forgetExpired();
    this.#bounds.requireRoom(this.#table, request);
    const open = this.#table.withoutEndOf(request.vmId).find(isUnsettled);
    if (open !== undefined) throw unsettled(open);
    if (request.newestOperation !== undefined) this.#ids.startAfterSeen(request.newestOperation);
    const { requestId, caller, behalf, kind, vmId, instance, tenant, fingerprint, intent } = request;
    const asked = { requestId, kind, vmId, instance, tenant, caller, behalf, intent };
    const operation = defined<Operation>({
      ...asked,
      id: this.#ids.next(),
      byTenant: request.byTenant === true ? true : undefined,
      state: "running",
      steps: [],
      progress: 0,
      createdAtMs: this.#options.clock.now(),
      result: {},
    });
    const record = { t: "begin" as const, operation, fingerprint };
    const entry = this.#table.add(record);
    entry.durable = this.#journal.append(record);
    try {
      await entry.durable;
    } catch (thrown) {
      // A restart may find it, so it keeps its request id: a repetition before that must not begin a second time.
      if (!isUncertain(thrown)) this.#table.remove(entry);
      throw thrown;
    }
    this.#show(entry);
    return { operation, fresh: true };
  }

  /**
   * Works on an operation that begin() made (or an interrupted one) in the background. The work returns the result. A
   * SocleError of kind outcome_unknown leaves it in that state for settle(); an error after cancel() makes it
   * `cancelled`. `ended` resolves when the end is durable, or could not be made so. Throws `conflict` if it is done or
   * in progress.
   */
  run(
    operation: Operation,
    work: (step: Step, signal: AbortSignal) => Promise<Record<string, string>>,
  ): { readonly ended: Promise<void> } {
    const entry = this.#entry(operation.id);
    this.#requireIdle(entry);
    if (entry.recorded.state === "outcome_unknown") {
      const { error: _settledAnew, ...rest } = entry.recorded;
      this.#settling.add(operation.id);
      entry.recorded = { ...rest, state: "running" };
      this.#show(entry);
    }
    const run = new OperationRun({
      clock: this.#options.clock,
      operation: () => entry.recorded,
      mayStart: () => this.#state !== "closed",
      isOutdated: () => this.#isOutdated(operation.id),
      permit: this.#bounds.permit,
      change: (change, index, need) => {
        const { transfer: _over, ...recorded } = entry.recorded;
        entry.recorded = { ...recorded, ...change };
        const { progress, steps } = entry.recorded;
        const record = { t: "step", id: operation.id, index, step: steps[index], progress };
        this.#show(entry);
        if (need === "durably") return this.#journal.append(record);
        this.#journal.appendLazily(record);
        return Promise.resolve();
      },
      show: (progress, transfer) => {
        entry.recorded = { ...entry.recorded, progress, transfer };
        this.#show(entry);
      },
    });
    this.#runs.set(operation.id, run);
    return { ended: this.#execute(entry, run, work) };
  }

  #requireIdle({ recorded }: Entry): void {
    const isBusy = this.#runs.has(recorded.id) || this.#ending.has(recorded.id);
    if (isBusy || isDone(recorded)) throw notOpen(recorded);
  }

  /** As Retained. */
  forgetExpired(): boolean {
    return this.#table.forgetExpired(MOST_FORGOTTEN_AT_ONCE);
  }

  /** Operations with an unknown outcome and no running work, oldest first. */
  unsettled(): readonly Operation[] {
    return this.#table.withoutEnd().filter(isUnsettled);
  }

  /** Whether the journal has the end of this operation. */
  hasEnded(id: string): boolean {
    return this.#table.hasEnded(id);
  }

  /**
   * Whether this operation may have its effect. Throws `conflict` OPERATION_UNSETTLED while the outcome of another one
   * of its VM is unknown, or being determined. Waiting operations block nothing. Of resumed ones the oldest goes first;
   * a new one is refused for all of them, since a newer one may have overtaken it.
   */
  requireTurn({ id, vmId }: Pick<Operation, "id" | "vmId">, as: "new" | "resumed" = "new"): void {
    const isOpen = (other: Operation): boolean => isUnsettled(other) || this.#settling.has(other.id);
    const older = this.#table
      .withoutEndOf(vmId)
      .find((other) => other.id !== id && (as === "new" || other.id < id) && isOpen(other));
    if (older !== undefined) throw unsettled(older);
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
        this.#options.log.error({ operation: entry.recorded.id, err: thrown }, "operation failed");
    }
    // Once closed, an end cannot be made durable: the next start finds the operation interrupted.
    if (this.#state !== "closed") await this.#ends.write(entry, end, "work").catch(() => undefined);
    this.#runs.delete(entry.recorded.id);
    this.#settling.delete(entry.recorded.id);
    if (this.#runs.size === 0) this.#drained?.();
  }

  #written(entry: Entry): void {
    if (isDone(entry.recorded)) {
      this.#table.ended(entry);
      this.#tally.ended(entry.recorded);
    }
    this.#show(entry);
  }

  /**
   * Ends an operation that was interrupted, or whose outcome was unknown, by an observation. An end that its work has
   * decided takes precedence. Durable when it resolves. Throws `not_found`, `conflict` OPERATION_ENDED if it is done
   * or in progress, the journal's errors, and `outcome_unknown` if the end is decided but cannot be shown yet.
   */
  async settle(id: string, outcome: Outcome): Promise<Operation> {
    const entry = this.#entry(id);
    const decided = this.#ends.decided(id);
    await this.#endIdle(entry, decided ?? endOf(outcome), decided === undefined ? "settlement" : "work");
    return entry.recorded;
  }

  /** As settle(), for an operation of an older copy of the state, whose decided end may be wrong. */
  async settleOutdated(id: string, outcome: Outcome): Promise<Operation> {
    const entry = this.#entry(id);
    this.#requireIdle(entry);
    this.#ends.forgetFound(entry);
    return await this.settle(id, outcome);
  }

  /** Retries to write and show a decided end, without the work. Undefined: none is decided. Throws as settle() does. */
  async endAgain(id: string): Promise<Operation | undefined> {
    const end = this.#ends.decided(id);
    if (end === undefined) return undefined;
    const entry = this.#entry(id);
    await this.#endIdle(entry, end, "work");
    return entry.recorded;
  }

  async #endIdle(entry: Entry, end: End, source: EndSource): Promise<void> {
    this.#requireIdle(entry);
    const { id } = entry.recorded;
    this.#ending.add(id);
    try {
      await this.#ends.write(entry, end, source);
    } finally {
      this.#ending.delete(id);
    }
  }

  /** Throws `not_found` OPERATION_NOT_FOUND, and as requireReadWhole. */
  get(id: string): Operation {
    return this.#entry(id).shown ?? notFound(id, this.failure);
  }

  /** The operation is running or queued, and was not cancelled. */
  isWanted(id: string): boolean {
    const shown = this.#table.get(id)?.shown;
    return shown?.state === "running" && shown.cancelledBy === undefined;
  }

  /** Of one VM, newest first, with those that are being admitted. */
  readonly admittedFor = (vmId: string): readonly Operation[] => this.#table.admittedFor(vmId);

  /** Newest first. Pages stay stable: later operations come before, ended ones stay in place. */
  list(options: ListOptions): readonly Operation[] {
    return this.#table.list(options);
  }

  /** Resolves with the current operation when it is done or the time is over. */
  async wait(id: string, timeoutMs: number, signal: AbortSignal): Promise<Operation> {
    if (isDone(this.get(id))) return this.get(id);
    await this.#waiters.until(id, timeoutMs, signal);
    return this.get(id);
  }

  /**
   * Requests the work to stop where it can; the end shows whether it did, and the first caller. Throws `not_found`, and
   * `conflict` NOT_CANCELLABLE if it is done or not in progress.
   */
  cancel(id: string, caller: string): Operation {
    const operation = this.get(id);
    const run = this.#runs.get(id);
    if (run === undefined || isDone(operation)) throw notCancellable(operation);
    const entry = this.#entry(id);
    // Its end is being written: too late to cancel, too early to show.
    if (isDone(entry.recorded) || entry.recorded.decided !== undefined) return operation;
    entry.recorded = { cancelledBy: caller, ...entry.recorded };
    this.#show(entry);
    run.cancel();
    return entry.recorded;
  }

  /** Every change of an operation from now on; `overflow` if the reader was too slow. Ends with the signal. */
  watch(signal: AbortSignal): AsyncIterable<QueueItem<Operation>> {
    return this.#changes.subscribe(signal);
  }

  /**
   * At stop: takes no more operations, waits for the running ones, then closes the journal. The rest finish their
   * current step, start no other, and get no end in the journal: they are `interrupted` at the next start.
   */
  async drain(timeoutMs: number): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "draining";
    if (this.#runs.size > 0) {
      const over = new AbortController();
      this.#drained = () => over.abort();
      await this.#options.clock.sleep(timeoutMs, over.signal).catch(() => undefined);
    }
    this.#state = "closed";
    const operations = [...this.#runs.keys()];
    const what = "stopping with unfinished operations; the next start settles them";
    if (operations.length > 0) this.#options.log.warn({ operations }, what);
    await this.#journal.close();
  }

  #show(entry: Entry): void {
    const operation = entry.recorded;
    entry.shown = operation;
    this.#changes.publish(operation);
    if (isDone(operation)) this.#waiters.ended(operation.id);
  }

  #entry(id: string): Entry {
    return this.#table.get(id) ?? notFound(id, this.failure);
  }
}
