import type { Clock } from "../../kernel/clock.ts";
import type { BootClock } from "../../kernel/boot-clock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import { Forgettable } from "./forgettable.ts";
import { OperationIndex, type Selection } from "./operation-index.ts";
import { errorOf, isDone, type End, type Operation, type OperationStep, type Outcome } from "./operation.ts";
import { defined } from "../../kernel/defined.ts";

/** The journal's records. Each may be replayed more than once: the last one of an operation counts. */
type OperationRecord =
  | { readonly t: "begin"; readonly operation: Operation; readonly fingerprint: string }
  | {
      readonly t: "step";
      readonly id: string;
      readonly index: number;
      readonly step: OperationStep;
      readonly progress: number;
    }
  | EndRecord;

/** `decided`: the operation has this end, and shows it once the journal has the same end as `end`. */
type EndRecord = { readonly t: "decided" | "end"; readonly id: string } & End;

export interface Entry {
  readonly fingerprint: string;
  /** Its state once all records appended to the journal are durable. */
  recorded: Operation;
  /** The published state; undefined until its begin is durable. */
  shown: Operation | undefined;
  durable: Promise<void>;
}

/** The end for an outcome that was observed, or that a person knows. */
export const endOf = (outcome: Outcome): End =>
  outcome.state === "succeeded"
    ? { state: "succeeded", progress: 1, result: outcome.result ?? {} }
    : { state: outcome.state, error: errorOf(toSocleError(outcome.error)) };

/** Sets the operation's end; a done operation drops its intent. */
export function withEnd(operation: Operation, end: End): Operation {
  const next: { -readonly [Key in keyof Operation]: Operation[Key] } = { ...operation };
  delete next.error;
  Object.assign(next, end);
  if (!isDone(next)) return next;
  delete next.decided;
  next.intent = null;
  return next;
}

/** The fields of an ended operation in the journal's end record. */
export const wholeEnd = (operation: Operation): End => {
  const { state, progress, result, error, endedAtMs, endedSinceBoot, cancelledBy } = operation;
  return defined({ state, progress, result, error, endedAtMs, endedSinceBoot, cancelledBy });
};

interface TableOptions {
  readonly retentionMs: number;
  readonly clock: Clock;
  readonly boot?: BootClock;
}

/** All operations held, by id and by request, built by replaying the journal. */
export class OperationTable {
  readonly #options: TableOptions;
  /** In the order of ids, which is the order of begin. */
  readonly #byId = new Map<string, Entry>();
  readonly #byRequest = new Map<string, Entry>();
  readonly index = new OperationIndex();
  readonly #forgettable = new Forgettable();
  /** Unfinished ones, in the order of ids. */
  readonly #unfinished = new Set<string>();
  /** Ended ones, in the order of their expiry. */
  readonly #expiries: { id: string; atMonotonicMs: number }[] = [];
  #expired = 0;

  constructor(options: TableOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byId.size;
  }

  get unfinished(): number {
    return this.#unfinished.size;
  }

  get(id: string): Entry | undefined {
    return this.#byId.get(id);
  }

  /** Its end is durable. */
  hasEnded(id: string): boolean {
    const operation = this.#byId.get(id)?.shown;
    return operation !== undefined && isDone(operation);
  }

  byRequest(caller: string, requestId: string): Entry | undefined {
    return this.#byRequest.get(`${requestId} ${caller}`);
  }

  withoutEnd(): Operation[] {
    return this.#recordedOf(this.#unfinished);
  }

  /** Unfinished operations of this VM. */
  withoutEndOf(vmId: string): Operation[] {
    return this.#recordedOf([...this.index.newestFirst({ vmId, onlyRunning: true })].reverse());
  }

  /** All operations of this VM, newest first, also those that are not durable yet. */
  admittedFor(vmId: string): Operation[] {
    return this.#recordedOf(this.index.newestFirst({ vmId }));
  }

  #recordedOf(ids: Iterable<string>): Operation[] {
    return [...ids].flatMap((id) => this.#byId.get(id)?.recorded ?? []);
  }

  add({ operation, fingerprint }: { operation: Operation; fingerprint: string }): Entry {
    const entry: Entry = { fingerprint, recorded: operation, shown: undefined, durable: Promise.resolve() };
    this.#byId.set(operation.id, entry);
    this.#byRequest.set(`${operation.requestId} ${operation.caller}`, entry);
    this.index.add(operation);
    this.#unfinished.add(operation.id);
    if (isDone(operation)) this.#finish(operation);
    return entry;
  }

  remove({ recorded }: Entry): void {
    const { id, requestId, caller } = recorded;
    this.#finish(recorded);
    this.#byId.delete(id);
    // A newer operation may have reused a forgotten one's request id.
    const request = `${requestId} ${caller}`;
    if (this.#byRequest.get(request)?.recorded.id === id) this.#byRequest.delete(request);
    this.index.remove(recorded);
    this.#forgettable.remove(recorded);
  }

  #finish(operation: Operation): void {
    if (this.#unfinished.delete(operation.id)) this.index.finish(operation);
  }

  ended({ recorded }: Entry): void {
    this.#finish(recorded);
    this.#keep(recorded, this.#options.retentionMs);
  }

  #keep(operation: Operation, forMs: number): void {
    this.#forgettable.add(operation);
    this.#expiries.push({ id: operation.id, atMonotonicMs: this.#options.clock.monotonicMs() + forMs });
  }

  /**
   * Removes the oldest ended operation of the tenant with the most, before its retention ends. False: no operation has
   * ended.
   */
  forgetEarly(): boolean {
    const entry = this.#byId.get(this.#forgettable.next ?? "");
    if (entry === undefined) return false;
    this.remove(entry);
    return true;
  }

  /** Removes up to `most` operations whose retention has ended, oldest first. Returns whether more of them are left. */
  forgetExpired(most: number): boolean {
    const now = this.#options.clock.monotonicMs();
    const isDue = (): boolean => (this.#expiries[this.#expired]?.atMonotonicMs ?? Infinity) <= now;
    for (let forgotten = 0; forgotten < most && isDue(); forgotten += 1, this.#expired += 1) {
      const entry = this.#byId.get(this.#expiries[this.#expired]?.id ?? "");
      if (entry !== undefined) this.remove(entry);
    }
    if (this.#expired > 1024 && this.#expired * 2 > this.#expiries.length) {
      this.#expiries.splice(0, this.#expired);
      this.#expired = 0;
    }
    return isDue();
  }

  nextExpiryInMs(): number | undefined {
    const next = this.#expiries[this.#expired];
    return next && next.atMonotonicMs - this.#options.clock.monotonicMs();
  }

  /** Newest first. Visits only operations that it may show. */
  list({ afterId, limit, ...selection }: Selection & { afterId?: string; limit: number }): Operation[] {
    const { onlyRunning = false } = selection;
    const found: Operation[] = [];
    if (limit <= 0) return found;
    for (const id of this.index.newestFirst(selection, afterId)) {
      const operation = this.#byId.get(id)?.shown;
      if (operation === undefined || (onlyRunning && isDone(operation))) continue;
      if (found.push(operation) >= limit) break;
    }
    return found;
  }

  /** Takes only records that the journal's schema has accepted. */
  replay(record: unknown): void {
    const known = record as OperationRecord;
    if (known.t === "begin") {
      if (!this.#byId.has(known.operation.id)) this.add(known);
      return;
    }
    const entry = this.#byId.get(known.id);
    if (entry === undefined) return; // forgotten before the journal was compacted
    if (known.t === "step") {
      // An earlier step may be missing: steps are recorded lazily, and lost on a full disk.
      const { steps } = entry.recorded;
      const index = Math.min(known.index, steps.length);
      entry.recorded = {
        ...entry.recorded,
        steps: steps.toSpliced(index, 1, known.step),
        progress: known.progress,
      };
      return;
    }
    const { t, id: _same, ...end } = known;
    entry.recorded = t === "decided" ? { ...entry.recorded, decided: end } : withEnd(entry.recorded, end);
  }

  /** After the last record: forgets expired operations, shows the rest. */
  replayed(): void {
    const ended: { operation: Operation; ageMs: number }[] = [];
    for (const entry of this.#byId.values()) {
      if (!isDone(entry.recorded)) entry.recorded = interrupted(entry.recorded);
      entry.shown = entry.recorded;
      if (!isDone(entry.recorded)) continue;
      this.#finish(entry.recorded);
      ended.push({ operation: entry.recorded, ageMs: this.#ageMs(entry.recorded) });
    }
    ended.sort((a, b) => b.ageMs - a.ageMs);
    for (const { operation, ageMs } of ended) this.#keep(operation, this.#options.retentionMs - ageMs);
    this.forgetExpired(Infinity);
  }

  /** Time since its end. The wall clock may have been stepped: it is used only after a reboot. */
  #ageMs({ endedAtMs, endedSinceBoot }: Operation): number {
    const { boot, clock } = this.#options;
    const isThisBoot = boot !== undefined && endedSinceBoot?.bootId === boot.bootId;
    if (isThisBoot) return Math.max(0, boot.ms() - endedSinceBoot.ms);
    const now = clock.now();
    return Math.max(0, now - (endedAtMs ?? now));
  }

  /** Excludes operations whose begin is not durable: it may still be refused. */
  *live(): Generator<OperationRecord> {
    for (const { recorded, shown, fingerprint } of this.#byId.values()) {
      if (shown === undefined) continue;
      const { transfer: _shownOnly, ...operation } = recorded;
      yield { t: "begin", operation, fingerprint };
    }
  }
}

/** Its published state until its outcome is known. */
const interrupted = (operation: Operation): Operation =>
  operation.state === "outcome_unknown"
    ? operation
    : {
        ...operation,
        state: "outcome_unknown",
        error: {
          kind: "outcome_unknown",
          reason: "INTERRUPTED",
          message:
            "the agent stopped while this operation ran; its outcome is determined as soon as libvirt answers",
          metadata: {},
        },
      };
