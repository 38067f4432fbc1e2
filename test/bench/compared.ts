import type { Result, Run } from "./bench.ts";
import { median, quantile } from "./statistics.ts";

export type Figures = Readonly<Record<string, number>>;

/** Starts the agent of a bundle with all that it is measured on. The function returned measures a share of a whole run. */
export type Stage = (run: Run, bundle: string) => Promise<(share: number) => Promise<Figures>>;

export interface Comparison {
  /** Rounds of each side, an even number. */
  readonly rounds: number;
  /** Of a whole run, what one round is. */
  readonly share: number;
  /** Figures that may not be more than 5 % above the other side's. */
  readonly bounded: readonly string[];
}

const MOST = 1.05;

/**
 * Measures this tree's agent beside the one of `against`, each with a libvirtd and guests of its own, in many short
 * rounds: this, that, that, this. Of each figure: both medians, and the median and quartiles of the ratios round by round.
 */
export async function compared(
  run: Run,
  against: string,
  stage: Stage,
  { rounds, share, bounded }: Comparison,
): Promise<Result> {
  run.say(`against ${against}`);
  const bundles = [await run.bundle(), await run.bundle(against)];
  const sides: { measure: (share: number) => Promise<Figures>; found: Figures[] }[] = [];
  for (const bundle of bundles) sides.push({ measure: await stage(run, bundle), found: [] });
  const round = run.quick ? share * 0.1 : share;
  // What V8 compiles late, it compiles here.
  for (const { measure } of sides) await measure(round * 5);
  for (let done = 0; done < (run.quick ? 2 : rounds); done += 1) {
    for (const side of done % 2 === 0 ? sides : sides.toReversed())
      side.found.push(await side.measure(round));
    if ((done + 1) % 10 === 0) run.say(`${done + 1} rounds of each`);
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
