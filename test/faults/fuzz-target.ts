import type { Chance } from "./fuzz-chance.ts";

/** A part of the agent that reads untrusted input. */
export interface FuzzTarget {
  readonly name: string;
  /** The share in a thousand inputs. */
  readonly share: number;
  readonly make: (chance: Chance) => Buffer;
  /** Feeds one input. Every exception is a violation: refusals that the contract allows are caught inside. */
  readonly feed: (input: Buffer) => void | Promise<void>;
}

/** Registers a cleanup for the end. */
export type CleanUp = (undo: () => unknown) => void;
