import type { Chance } from "./fuzz-chance.ts";

/** What is fed. */
export interface FuzzTarget {
  readonly name: string;
  /** Of a thousand inputs. */
  readonly share: number;
  /** Makes one input and feeds it. Whatever it throws is a violation: what may be refused is caught here. */
  readonly feed: (chance: Chance) => void | Promise<void>;
}

/** Takes what undoes something, for the end. */
export type CleanUp = (undo: () => unknown) => void;
