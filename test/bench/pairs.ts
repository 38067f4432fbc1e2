import type { Run } from "./bench.ts";
import { median, timed } from "./statistics.ts";

type Side = "socle" | "peer";

export interface Pair {
  readonly socle: () => Promise<unknown>;
  readonly peer: () => Promise<unknown>;
  /** Before each side; not measured. */
  readonly ready?: () => Promise<unknown>;
  /** After each side, so that it leaves the other as much memory as it had; not measured. */
  readonly tidy?: (side: Side) => Promise<unknown>;
}

export interface PairedFigures {
  readonly pairs: number;
  readonly socleMs: number;
  readonly peerMs: number;
  /** Of pairs: a machine that is busy with something else for a while slows both of a pair down. */
  readonly ratio: number;
}

/** Times both sides in turns; what the first leaves warm is an advantage of neither. */
export async function measurePairs(
  run: Run,
  pairs: number,
  of: (pair: number) => Pair | Promise<Pair>,
): Promise<PairedFigures> {
  const tookMs = { socle: [] as number[], peer: [] as number[] };
  for (let pair = 0; pair < pairs; pair += 1) {
    const sides = await of(pair);
    for (const side of pair % 2 === 0 ? (["socle", "peer"] as const) : (["peer", "socle"] as const)) {
      await sides.ready?.();
      tookMs[side].push(await timed(sides[side]));
      await sides.tidy?.(side);
    }
    const [socle, peer] = [tookMs.socle[pair] ?? NaN, tookMs.peer[pair] ?? NaN];
    run.log(`pair ${pair + 1}: socle ${socle.toFixed(0)} ms, peer ${peer.toFixed(0)} ms`);
  }
  return {
    pairs,
    socleMs: median(tookMs.socle),
    peerMs: median(tookMs.peer),
    ratio: median(tookMs.socle.map((ms, pair) => ms / (tookMs.peer[pair] ?? NaN))),
  };
}
