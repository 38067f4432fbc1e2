import type { Clock } from "../kernel/clock.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import type { Logger } from "../kernel/log.ts";
import type { Collector, FamilyText } from "./collector.ts";
import { gauge, header, trailers, type Family, type Format } from "./family.ts";
import { Samples } from "./samples.ts";
import { Slice } from "../kernel/concurrency/slice.ts";
import type { Sources } from "./sources.ts";
import { within } from "../kernel/concurrency/deadline.ts";

/** The requested collectors: those in `collect` (all when empty) that are not in `exclude`. */
export interface Selection {
  readonly collect: readonly string[];
  readonly exclude: readonly string[];
}

interface ExpositionOptions {
  readonly collectors: readonly Collector[];
  /** Left out of every scrape. An unknown name is `invalid`: it would silently disable nothing. */
  readonly disabled: readonly string[];
  readonly sources: Sources;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Outcome {
  /** The collected families; undefined: it failed, or ran out of time. */
  readonly texts: readonly FamilyText[] | undefined;
  /** No data is missing. */
  readonly isWhole: boolean;
  readonly durationMs: number;
}

interface Run {
  readonly selected: readonly Collector[];
  /** On the monotonic clock; the latest deadline of the sharing scrapes. */
  deadlineMs: number;
  /** Of finished collectors, in the order of `selected`. */
  readonly outcomes: Outcome[];
  readonly end: Promise<void>;
}

const CUT_LOG_INTERVAL_MS = 60_000;

/**
 * All metrics, rendered on demand. Concurrent scrapes with the same selection share one run, which lasts until the latest
 * deadline: no scrape shortens another's. Runs with other selections follow one another.
 */
export class Exposition {
  readonly #collectors: readonly Collector[];
  readonly #options: ExpositionOptions;
  readonly #running = new Map<string, Run>();
  #tail: Promise<unknown> = Promise.resolve();
  readonly #failing = new Set<string>();
  #cutLoggedMs = -Infinity;
  readonly #lastSuccessMs = new Map<string, number>();
  /** By family name, which has one header. */
  readonly #headers: Readonly<Record<Format, Map<string, Buffer>>> = {
    text: new Map(),
    openmetrics: new Map(),
  };
  readonly #success = new Samples(successFamily);
  readonly #duration = new Samples(durationFamily);
  readonly #lastSuccess = new Samples(lastSuccessFamily);

  constructor(options: ExpositionOptions) {
    this.#options = options;
    refuseUnknown(options.disabled, options.collectors);
    this.#collectors = options.collectors.filter(({ name }) => !options.disabled.includes(name));
  }

  /**
   * The exposition as encoded pieces, in order. Collectors that exceed `timeoutMs` are left out and marked as failed. Rejects
   * with `invalid` for an unknown collector.
   */
  async render(format: Format, selection: Selection, timeoutMs: number): Promise<readonly Buffer[]> {
    refuseUnknown([...selection.collect, ...selection.exclude], this.#options.collectors);
    const pieces: Buffer[] = [];
    for (const { family, lines } of await this.#share(selection, timeoutMs)) {
      if (lines.length > 0) pieces.push(this.#header(family, format), ...lines);
    }
    pieces.push(Buffer.from(trailers[format]));
    return pieces;
  }

  #header(family: Family, format: Format): Buffer {
    const headers = this.#headers[format];
    let encoded = headers.get(family.name);
    if (encoded === undefined) {
      encoded = Buffer.from(header(family, format));
      headers.set(family.name, encoded);
    }
    return encoded;
  }

  async #share(selection: Selection, timeoutMs: number): Promise<readonly FamilyText[]> {
    const { clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    const run = this.#join(selection, deadlineMs);
    await within(clock, timeoutMs, run.end);
    return this.#textsOf(run);
  }

  #join(selection: Selection, deadlineMs: number): Run {
    const selected = this.#collectors.filter(
      ({ name }) =>
        (selection.collect.length === 0 || selection.collect.includes(name)) &&
        !selection.exclude.includes(name),
    );
    const key = selected.map(({ name }) => name).join(" ");
    const running = this.#running.get(key);
    if (running !== undefined) {
      running.deadlineMs = Math.max(running.deadlineMs, deadlineMs);
      return running;
    }
    // A scrape that arrives after a cut gets a run of its own.
    const leave = (): void => {
      if (this.#running.get(key) === run) this.#running.delete(key);
    };
    const end = this.#tail.then(() => this.#collect(run, leave)).finally(leave);
    const run: Run = { selected, deadlineMs, outcomes: [], end };
    this.#running.set(key, run);
    this.#tail = end.catch(() => undefined);
    return run;
  }

  async #collect(run: Run, onCut: () => void): Promise<void> {
    const { clock } = this.#options;
    const slice = new Slice();
    for (const collector of run.selected) {
      const startedMs = clock.monotonicMs();
      let texts: readonly FamilyText[] | undefined;
      let isWhole = false;
      try {
        const collected = await this.#collectOne(collector, run, slice);
        texts = collected.texts;
        isWhole = collected.missing === undefined;
        const readAtMs = collected.readAtMs ?? (isWhole ? clock.now() : undefined);
        if (readAtMs !== undefined) this.#lastSuccessMs.set(collector.name, readAtMs);
        if (isWhole) this.#failing.delete(collector.name);
        else this.#failed(collector.name, collected.missing);
      } catch (cause) {
        if (run.deadlineMs <= clock.monotonicMs()) {
          onCut();
          this.#wasCut(collector.name);
        } else this.#failed(collector.name, cause);
      }
      run.outcomes.push({ texts, isWhole, durationMs: clock.monotonicMs() - startedMs });
    }
  }

  async #collectOne(
    collector: Collector,
    run: Run,
    slice: Slice,
  ): Promise<{ texts: readonly FamilyText[]; readAtMs: number | undefined; missing?: SocleError }> {
    const steps = collector.collect(this.#options.sources);
    for (;;) {
      if (run.deadlineMs <= this.#options.clock.monotonicMs()) throw outOfTime();
      const step = steps.next();
      if (step.done === true) return step.value;
      if (step.value instanceof Promise) await this.#within(run, step.value);
      else if (slice.over) await slice.rest();
    }
  }

  /** The run's deadline may be extended meanwhile. */
  async #within(run: Run, work: Promise<unknown>): Promise<void> {
    const { clock } = this.#options;
    const done = new AbortController();
    const late = async (): Promise<never> => {
      for (;;) {
        const leftMs = run.deadlineMs - clock.monotonicMs();
        if (leftMs <= 0) throw outOfTime();
        await clock.sleep(leftMs, done.signal);
      }
    };
    await Promise.race([work, late()]).finally(() => done.abort());
  }

  /** The run's results so far, and the outcome of each collector: unfinished ones are missing. */
  #textsOf({ selected, outcomes }: Run): readonly FamilyText[] {
    const own = [this.#success, this.#duration, this.#lastSuccess];
    for (const samples of own) samples.begin();
    selected.forEach(({ name }, index) => {
      const outcome = outcomes[index];
      const lastSuccessMs = this.#lastSuccessMs.get(name);
      this.#success.addLabelled(outcome?.isWhole === true ? 1 : 0, name);
      this.#duration.addLabelled(outcome && outcome.durationMs / 1000, name);
      this.#lastSuccess.addLabelled(lastSuccessMs && lastSuccessMs / 1000, name);
    });
    const collected = outcomes.flatMap(({ texts }) => texts ?? []);
    return [...collected, ...own.map((samples) => ({ family: samples.family, lines: samples.take() }))];
  }

  /** The scraper chooses the deadline: it must not fill the log by that. */
  #wasCut(name: string): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#cutLoggedMs < CUT_LOG_INTERVAL_MS) return;
    this.#cutLoggedMs = nowMs;
    const { reason, message } = outOfTime();
    this.#options.log.info({ collector: name, reason }, `metrics are missing: ${message}`);
  }

  #failed(name: string, cause: unknown): void {
    if (this.#failing.has(name)) return;
    this.#failing.add(name);
    const { kind, reason, message } = toSocleError(cause);
    const log = this.#options.log;
    if (kind === "unavailable") log.info({ collector: name, reason }, `metrics are missing: ${message}`);
    else log.warn({ collector: name, err: cause }, "metrics are missing: their collector failed");
  }
}

const perCollector = ["collector"] as const;
const successFamily = gauge(
  "socle_collector_success",
  "1 if the collector worked, 0 if its metrics, or some of them, are missing.",
  perCollector,
);
const durationFamily = gauge(
  "socle_collector_duration_seconds",
  "How long the collector took.",
  perCollector,
);
const lastSuccessFamily = gauge(
  "socle_collector_last_success_timestamp_seconds",
  "When what the collector last showed was read.",
  perCollector,
);

const outOfTime = (): SocleError =>
  new SocleError("timeout", "SCRAPE_TIMEOUT", "the scrape ran out of time before this collector was done");

function refuseUnknown(names: readonly string[], collectors: readonly Collector[]): void {
  const unknown = names.filter((name) => !collectors.some((known) => known.name === name));
  if (unknown.length === 0) return;
  const known = collectors.map(({ name }) => name).join(", ");
  throw new SocleError(
    "invalid",
    "UNKNOWN_COLLECTOR",
    `no collector is named ${unknown.join(", ")}; there are: ${known}`,
  );
}
