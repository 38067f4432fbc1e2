import { Topic } from "../../kernel/concurrency/topic.ts";

/** The position of this agent's report: a generation counts the changes within one epoch. */
export class Position {
  agentEpoch: number;
  readonly changes = new Topic<number>();
  #generation = 0;

  constructor(options: { agentEpoch: number }) {
    this.agentEpoch = options.agentEpoch;
  }

  get generation(): number {
    return this.#generation;
  }

  /** A reported value has changed: returns the new generation. */
  bump(): number {
    this.#generation += 1;
    this.changes.publish(this.#generation);
    return this.#generation;
  }
}
