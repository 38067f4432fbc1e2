import type { Clock } from "../../kernel/clock.ts";
import { defined } from "../../kernel/defined.ts";
import { SocleError } from "../../kernel/errors.ts";
import type { Operation, OperationStep, Transfer } from "./operation.ts";
import { Pace } from "./pace.ts";
import type { Permit } from "./permit.ts";

/**
 * Runs a named part of an operation and records its start and end. `weight` is its share of the whole (0 to 1, default
 * 0.1) for the progress shown. Work that copies bytes reports how many are done. Does not start after cancel() or once the agent has stopped; a started step is never cut short.
 */
export interface Step {
  <T>(name: string, work: (report: Report) => Promise<T>, weight?: number): Promise<T>;
  /** As a step; its completion is on the disk when this resolves. Throws the journal's errors as well. */
  readonly durable: <T>(name: string, work: () => Promise<T>, weight?: number) => Promise<T>;
  /** Undoes the step of this name, also after cancel(): its outcome becomes "undone". */
  readonly undo: (name: string, work: () => Promise<void>) => Promise<void>;
  /** As `undo`; the outcome is on the disk when this resolves. Throws the journal's errors as well. */
  readonly undoDurably: (name: string, work: () => Promise<void>) => Promise<void>;
  /** Makes later steps ignore cancel(). Call before effects that cannot be undone. Throws once cancelled. */
  readonly commit: () => void;
  /** As `commit`, also once cancelled: an earlier run had such effects. */
  readonly goOn: () => void;
  /** For work within or beside a step: throws what keeps a step from starting, except cancel(). */
  readonly requireOpen: () => void;
}

/** Shows how many bytes of a step are done; it is not recorded. */
export type Report = (bytes: Pick<Transfer, "doneBytes" | "totalBytes">) => void;

type Need = "lazily" | "durably";

/** The least progress that is shown, or the least time between: each is a message to every watcher. */
const LEAST_SHOWN = 0.01;
const SHOWN_EACH_MS = 2000;

interface RunOptions {
  readonly clock: Clock;
  readonly operation: () => Operation;
  /** False once ends can no longer be recorded. */
  readonly mayStart: () => boolean;
  /** While it refuses, no step starts, and the outcome is unknown. */
  readonly permit: Permit;
  /** Once it is true no step starts: the outcome is observed instead. */
  readonly isOutdated: () => boolean;
  /** Resolves when it is durable. */
  readonly change: (
    change: Pick<Operation, "steps" | "progress">,
    stepIndex: number,
    need: Need,
  ) => Promise<void>;
  /** Shows progress without a record. */
  readonly show: (progress: number, transfer: Transfer) => void;
}

/** One operation being worked on. */
export class OperationRun {
  readonly step: Step;
  readonly #options: RunOptions;
  readonly #cancel = new AbortController();
  #isCommitted = false;
  /** Steps of an earlier, interrupted run by name: repeated ones keep their place in the list. */
  readonly #earlier: Map<string, number>;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#earlier = new Map(options.operation().steps.map(({ name }, index) => [name, index]));
    const recorded =
      (need: Need) =>
      <T>(name: string, work: (report: Report) => Promise<T>, weight = 0.1): Promise<T> =>
        this.#step(name, work, weight, need);
    this.step = Object.assign(recorded("lazily"), {
      durable: recorded("durably"),
      undo: (name: string, work: () => Promise<void>) => this.#undo(name, work, "lazily"),
      undoDurably: (name: string, work: () => Promise<void>) => this.#undo(name, work, "durably"),
      commit: () => {
        if (!this.#isCommitted) this.#cancel.signal.throwIfAborted();
        this.#isCommitted = true;
      },
      goOn: () => {
        this.#isCommitted = true;
      },
      requireOpen: () => this.#requireOpen(),
    });
  }

  get signal(): AbortSignal {
    return this.#cancel.signal;
  }

  cancel(): void {
    this.#cancel.abort(new SocleError("cancelled", "CANCELLED", "the operation was cancelled"));
  }

  async #step<T>(name: string, work: (report: Report) => Promise<T>, weight: number, need: Need): Promise<T> {
    if (!this.#isCommitted) this.#cancel.signal.throwIfAborted();
    const index = this.#start(name);
    let shown = 0;
    const { clock } = this.#options;
    const pace = new Pace();
    let shownAtMs = clock.monotonicMs();
    const report: Report = ({ doneBytes, totalBytes }) => {
      const part = totalBytes === 0 ? 0 : Math.min(1, doneBytes / totalBytes);
      const next = Math.max(shown, part * weight);
      const nowMs = clock.monotonicMs();
      if (next - shown < LEAST_SHOWN && nowMs - shownAtMs < SHOWN_EACH_MS) return;
      const bytesPerSecond = pace.at(doneBytes, nowMs);
      this.#options.show(
        Math.min(0.99, this.#options.operation().progress + next - shown),
        defined({ doneBytes, totalBytes, bytesPerSecond }),
      );
      [shown, shownAtMs] = [next, nowMs];
    };
    let value: T;
    try {
      value = await work(report);
    } catch (thrown) {
      void this.#finish(index, "failed", 0);
      throw thrown;
    }
    const kept = this.#finish(index, "done", weight - shown, need);
    if (need === "durably") await kept;
    return value;
  }

  async #undo(name: string, work: () => Promise<void>, need: Need): Promise<void> {
    const done = this.#options.operation().steps.findLastIndex((step) => step.name === name);
    const index = done === -1 ? this.#start(name) : done;
    if (done !== -1) this.#requireOpen();
    await work();
    const kept = this.#finish(index, "undone", 0, need);
    if (need === "durably") await kept;
  }

  #requireOpen(): void {
    const { mayStart, permit, isOutdated } = this.#options;
    // First: a retry is not possible for any refusal while the agent stops.
    if (!mayStart())
      throw new SocleError("unavailable", "AGENT_STOPPING", "the agent stopped before this step");
    if (isOutdated())
      throw new SocleError(
        "outcome_unknown",
        "OPERATION_SUPERSEDED",
        "another agent has controlled this libvirt since the operation began: its outcome is being determined",
      );
    if (permit.refusal !== undefined) {
      const { reason, message } = permit.refusal;
      throw new SocleError("outcome_unknown", reason, message, { cause: permit.refusal });
    }
  }

  #start(name: string): number {
    this.#requireOpen();
    const { steps, progress } = this.#options.operation();
    const index = this.#earlier.get(name) ?? steps.length;
    this.#earlier.delete(name);
    const step: OperationStep = { name, startedAtMs: this.#options.clock.now() };
    void this.#options.change({ steps: steps.toSpliced(index, 1, step), progress }, index, "lazily");
    return index;
  }

  #finish(
    index: number,
    outcome: "done" | "failed" | "undone",
    weight: number,
    need: Need = "lazily",
  ): Promise<void> {
    const { steps, progress } = this.#options.operation();
    const endedAtMs = this.#options.clock.now();
    return this.#options.change(
      {
        steps: steps.map((step, at) => (at === index ? { ...step, endedAtMs, outcome } : step)),
        progress: Math.min(0.99, progress + weight),
      },
      index,
      need,
    );
  }
}
