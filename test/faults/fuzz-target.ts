import type { Chance } from "./fuzz-chance.ts";

/** A part of the agent that reads what others wrote. */
export interface FuzzTarget {
  readonly name: string;
  /** Of a thousand inputs. */
  readonly share: number;
  readonly make: (chance: Chance) => Buffer;
  /** Feeds one input. Whatever it throws is a violation: a refusal that the contract allows is caught in it. */
  readonly feed: (input: Buffer) => void | Promise<void>;
}

/** Takes what undoes something, for the end. */
export type CleanUp = (undo: () => unknown) => void;
