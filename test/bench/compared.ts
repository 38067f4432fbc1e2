import { Run, type Result } from "./bench.ts";
import { median, quantile } from "./statistics.ts";

export type Figures = Readonly<Record<string, number>>;

/** Starts a bundle's agent with its load. The returned function measures a share of a whole run. */
export type Stage = (run: Run, bundle: string) => Promise<(share: number) => Promise<Figures>>;

export interface Comparison {
  /** Rounds of each side per process, an even number. */
  readonly rounds: number;
  /** One round's share of a whole run. */
  readonly share: number;
  /** Figures that may exceed the other side's by at most 5 %. */
  readonly bounded: readonly string[];
}

const MOST = 1.05;
/** Processes of each side. V8's optimization of one process is permanent and shifts its figures by more than MOST. */
const PROCESSES = 5;

/**
 * Measures this tree's agent beside the one of `against`, each with its own libvirtd and guests, in PROCESSES processes
 * of each side and short alternating rounds: this, that, that, this. Returns both medians of each figure, and the median
 * and quartiles of the ratios round by round.
 */
export async function compared(
  run: Run,
  against: string,
  stage: Stage,
  { rounds, share, bounded }: Comparison,
): Promise<Result> {
  run.log(`against ${against}`);
  const sides = [await run.bundle(), await run.bundle(against)].map((bundle) => ({
    bundle,
    found: [] as Figures[],
  }));
  const processes = run.quick ? 1 : PROCESSES;
  for (let started = 1; started <= processes; started += 1) {
    const inner = new Run(run.quick);
    run.cleanUp(() => inner.end());
    const staged = [];
    for (const { bundle, found } of sides) staged.push({ measure: await stage(inner, bundle), found });
    const round = run.quick ? share * 0.1 : share;
    // Warm-up for V8's late compilation.
    for (const { measure } of staged) await measure(round * 5);
    for (let done = 0; done < (run.quick ? 2 : rounds); done += 1)
      for (const { measure, found } of done % 2 === 0 ? staged : staged.toReversed())
        found.push(await measure(round));
    await inner.end();
    run.log(`${started} of ${processes} processes of each: ${sides[0]?.found.length ?? 0} rounds`);
  }
  const [own = [], other = []] = sides.map(({ found }) => found);
  const figures: Record<string, number> = {};
  for (const name of Object.keys(own[0] ?? {})) {
    const of = (found: readonly Figures[]): number[] => found.map((each) => each[name] ?? NaN);
    const before = of(other);
    const ratios = of(own).map((value, at) => value / (before[at] ?? NaN));
    figures[name] = median(of(own));
    figures[`${name}Before`] = median(before);
    figures[`${name}Ratio`] = median(ratios);
    figures[`${name}RatioQ1`] = quantile(ratios, 0.25);
    figures[`${name}RatioQ3`] = quantile(ratios, 0.75);
  }
  return {
    figures,
    bound: Object.fromEntries(bounded.map((name) => [`${name}Ratio`, { atMost: MOST }])),
  };
}
