import { isFresh, type Sampled } from "../host/health/readers/reader.ts";
import type { HostReadings, HostValue, ReaderName } from "../host/health/readers/table.ts";
import { SocleError, toSocleError } from "../kernel/errors.ts";
import type { Distribution } from "../kernel/histogram.ts";
import type { Family, HistogramFamily } from "./family.ts";
import { addDistribution, samplesOf } from "./histogram-samples.ts";
import type { Samples } from "./samples.ts";
import type { Sources } from "./sources.ts";

type Families = Readonly<Record<string, Family>>;
type LabelValues<L extends readonly string[]> = { readonly [I in keyof L]: string | number };

/** One function per family: a value and its label values, in the family's order. An undefined value is left out. */
type Emit<F extends Families> = {
  readonly [K in keyof F]: F[K] extends HistogramFamily<infer L>
    ? (value: Distribution | undefined, ...labels: LabelValues<L>) => void
    : F[K] extends Family<infer L>
      ? (value: number | undefined, ...labels: LabelValues<L>) => void
      : never;
};

/** Wall clock of the reading; undefined: now. */
type ReadAtMs = number | undefined;

/** The result of a collector whose data is partly missing: it counts as failed, and has the time of its last full reading. */
interface Incomplete {
  readonly missing: SocleError;
  readonly readAtMs: ReadAtMs;
}

/**
 * Emits everything it has. A generator yields to the event loop at least every few thousand samples. Throwing drops what
 * this collector emitted and marks it as failed; the others are not affected.
 */
type Collect<F extends Families> = (
  sources: Sources,
  emit: Emit<F>,
) => ReadAtMs | Incomplete | Generator<undefined, ReadAtMs, undefined>;

export interface FamilyText {
  readonly family: Family;
  readonly lines: readonly Buffer[];
}

/** A part of a scrape. It must finish before it is started again. */
export interface Collector {
  readonly name: string;
  readonly families: readonly Family[];
  /** Yields to the event loop; a yielded promise is awaited. */
  collect(
    sources: Sources,
  ): Generator<
    Promise<unknown> | undefined,
    { readonly texts: readonly FamilyText[]; readonly readAtMs: ReadAtMs; readonly missing?: SocleError }
  >;
}

/**
 * Declares a collector's families and how to read them; the scrape owns isolation, timing and rendering. Each exposition has
 * its own: a collector caches the text of its series between scrapes.
 */
export const collector =
  <F extends Families>(name: string, families: F, collect: Collect<F>): (() => Collector) =>
  () =>
    makeCollector(name, families, collect);

function makeCollector<F extends Families>(name: string, families: F, collect: Collect<F>): Collector {
  const samples = Object.entries(families).map(([key, family]) => [key, samplesOf(family)] as const);
  const emit = Object.fromEntries(samples.map(([key, of]) => [key, emitter(of)])) as Emit<F>;
  return {
    name,
    families: Object.values(families),
    *collect(sources) {
      for (const [, of] of samples) of.begin();
      const result = collect(sources, emit);
      const end = typeof result === "object" && "next" in result ? yield* result : result;
      const texts: FamilyText[] = [];
      for (const [, of] of samples) {
        texts.push({ family: of.family, lines: of.take() });
        yield;
      }
      return typeof end === "object" ? { texts, ...end } : { texts, readAtMs: end };
    },
  };
}

function emitter(of: Samples): (value: never, ...labels: readonly (string | number)[]) => void {
  const { kind, labels } = of.family;
  if (kind === "histogram")
    return (value: Distribution | undefined, ...values) => addDistribution(of, value, values);
  if (labels.length === 1 || labels.length === 2)
    return (value: number | undefined, first = "", second?) => of.addLabelled(value, first, second);
  return (value: number | undefined, ...values) => of.add(value, values);
}

/**
 * A reader's newest reading; undefined where the machine lacks the hardware. Throws `unavailable` when it is too old, or was
 * never read.
 */
export function fresh<N extends ReaderName>(
  readings: Pick<HostReadings, "newest" | "last">,
  name: N,
): Sampled<HostValue<N>> | undefined {
  const newest = readings.newest(name);
  if (newest !== undefined) {
    if (isFresh(newest)) return newest;
    const ageSeconds = Math.round(newest.ageMs / 1000);
    throw new SocleError("unavailable", "READING_STALE", `the last reading is ${ageSeconds} s old`);
  }
  const last = readings.last(name);
  if (last.kind !== "failed") return undefined;
  throw new SocleError("unavailable", "READER_FAILED", last.reason);
}

/** A collector of one reader. Where the machine lacks the hardware, it emits nothing. */
export const ofReader = <N extends ReaderName, F extends Families>(
  name: string,
  reader: N,
  families: F,
  show: (value: HostValue<N>, emit: Emit<F>, sources: Sources) => void,
): (() => Collector) =>
  collector(name, families, (sources, emit) => {
    const read = fresh(sources.readings, reader);
    if (read !== undefined) show(read.value, emit, sources);
    return read?.readAtMs;
  });

/**
 * For a collector of several readers: emits what each has; one without a current reading makes the whole incomplete, unless
 * the machine lacks it.
 */
export function freshOfSeveral(readings: Pick<HostReadings, "newest" | "last">): {
  /** As `fresh`, and undefined where that would throw. */
  readonly take: <N extends ReaderName>(name: N) => Sampled<HostValue<N>> | undefined;
  /** The collector's return value. */
  readonly end: () => ReadAtMs | Incomplete;
} {
  let missing: SocleError | undefined;
  let wasWhole = true;
  const readAts: number[] = [];
  return {
    take: (name) => {
      const readAtMs = readings.newest(name)?.readAtMs;
      if (readAtMs !== undefined) readAts.push(readAtMs);
      try {
        return fresh(readings, name);
      } catch (cause) {
        missing ??= toSocleError(cause);
        wasWhole &&= readAtMs !== undefined;
        return undefined;
      }
    },
    end: () => {
      const readAtMs = wasWhole && readAts.length > 0 ? Math.min(...readAts) : undefined;
      return missing === undefined ? readAtMs : { missing, readAtMs };
    },
  };
}
