import { setMaxListeners } from "node:events";
import type { Reading } from "../../../hardware/reading.ts";
import { systemClock, type Clock } from "../../../kernel/clock.ts";
import { LATE, within } from "../../../kernel/concurrency/deadline.ts";
import type { Reader, ReadingsOf, ReaderState, ReaderTable, Sampled, ValueOf } from "./reader.ts";
import { defined } from "../../../kernel/defined.ts";
import { messageOf } from "../../../kernel/thrown.ts";

const DEFAULT_DEADLINE_MS = 5000;
const NOT_YET: Reading<never> = { kind: "failed", reason: "not read yet" };

/** State of one reader. */
interface Kept {
  readonly name: string;
  readonly reader: Reader<unknown>;
  /** Monotonic time of the next reading. */
  dueMs: number;
  last: Reading<unknown>;
  lookedAtMs?: number;
  tookMs?: number;
  newest?: { readonly value: unknown; readonly readAtMs: number; readonly monotonicMs: number };
  /** A reading has not ended, which may be past its deadline: no second one starts until it ends. */
  isStuck: boolean;
}

/**
 * Reads the machine periodically, so that no caller waits for a sensor. Each reader has its own period and deadline;
 * readers of one lane run sequentially. A failed reading keeps the previous value with its time, which is shown until it
 * is too old.
 */
export class Readers<T extends ReaderTable> implements ReadingsOf<T> {
  readonly #clock: Clock;
  readonly #onRead: (name: keyof T & string) => void;
  readonly #kept: ReadonlyMap<string, Kept>;

  /** `onRead` is called after each reading, also a failed one. Must not throw. */
  constructor(
    table: T,
    options: { readonly clock: Clock; readonly onRead: (name: keyof T & string) => void },
  ) {
    this.#clock = options.clock;
    this.#onRead = options.onRead;
    const keep = ([name, reader]: [string, Reader<unknown>]): [string, Kept] => [
      name,
      { name, reader, dueMs: -Infinity, last: NOT_YET, isStuck: false },
    ];
    this.#kept = new Map(Object.entries(table).map(keep));
  }

  /** Runs until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const lanes = new Map<string, Kept[]>();
    for (const kept of this.#kept.values()) {
      const lane = kept.reader.lane ?? "files";
      lanes.set(lane, [...(lanes.get(lane) ?? []), kept]);
    }
    const stop = new AbortController();
    signal.addEventListener("abort", () => stop.abort(signal.reason), { once: true });
    if (signal.aborted) stop.abort(signal.reason);
    // One abort listener per lane.
    setMaxListeners(lanes.size, stop.signal);
    await Promise.all([...lanes.values()].map((lane) => this.#runLane(lane, stop.signal)));
    for (const { reader } of this.#kept.values()) await reader.close?.();
  }

  newest<N extends keyof T & string>(name: N): Sampled<ValueOf<T[N]>> | undefined {
    const kept = this.#kept.get(name);
    if (kept?.newest === undefined) return undefined;
    const { value, readAtMs, monotonicMs } = kept.newest;
    return {
      // Only `#look` writes it, from this reader's own result.
      value: value as ValueOf<T[N]>,
      readAtMs,
      ageMs: this.#clock.monotonicMs() - monotonicMs,
      intervalMs: kept.reader.everyMs,
    };
  }

  last<N extends keyof T & string>(name: N): Reading<ValueOf<T[N]>> {
    return (this.#kept.get(name)?.last ?? NOT_YET) as Reading<ValueOf<T[N]>>;
  }

  states(): readonly ReaderState[] {
    return [...this.#kept.values()].map(({ name, last, lookedAtMs, tookMs }) =>
      defined({
        name,
        state: lookedAtMs === undefined ? "pending" : last.kind,
        reason: last.kind === "read" ? "" : last.reason,
        lookedAtMs,
        tookMs,
      }),
    );
  }

  async #runLane(lane: readonly Kept[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const next = lane.reduce((a, b) => (b.dueMs < a.dueMs ? b : a));
      const waitMs = next.dueMs - this.#clock.monotonicMs();
      if (waitMs > 0) await this.#clock.sleep(waitMs, signal).catch(() => undefined);
      else await this.#look(next, signal);
    }
  }

  async #look(kept: Kept, signal: AbortSignal): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const last: Reading<unknown> = kept.isStuck
      ? { kind: "failed", reason: "an earlier reading still hangs" }
      : await this.#withDeadline(kept, signal);
    if (signal.aborted) return;
    const nowMs = this.#clock.monotonicMs();
    kept.last = last;
    kept.lookedAtMs = this.#clock.now();
    kept.tookMs = nowMs - startedMs;
    if (last.kind === "read") {
      kept.newest = { value: last.value, readAtMs: kept.lookedAtMs, monotonicMs: nowMs };
    } else if (last.kind === "unsupported") {
      delete kept.newest;
    }
    // A steady pace, without catching up after a pause.
    const nextMs = kept.dueMs + kept.reader.everyMs;
    kept.dueMs = nextMs > nowMs ? nextMs : startedMs + kept.reader.everyMs;
    this.#onRead(kept.name);
  }

  /** In real time, even with an injected clock: a hung reader hangs in real time. */
  async #withDeadline(kept: Kept, signal: AbortSignal): Promise<Reading<unknown>> {
    const { read, deadlineMs = DEFAULT_DEADLINE_MS } = kept.reader;
    const giveUp = new AbortController();
    kept.isStuck = true;
    const reading = read(giveUp.signal)
      .catch((cause: unknown) => ({ kind: "failed", reason: messageOf(cause) }) as const)
      .finally(() => (kept.isStuck = false));
    const last = await within(systemClock, deadlineMs, reading, signal);
    giveUp.abort();
    if (last !== LATE) return last;
    return signal.aborted ? NOT_YET : { kind: "failed", reason: `no answer within ${deadlineMs} ms` };
  }
}
