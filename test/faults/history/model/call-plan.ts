/** What a plan decides about calls of the model, and what it reports of their effects. */
import type { Clock } from "../../../../agent/kernel/clock.ts";
import type { EffectBegin, EffectEnd } from "../history.ts";
import type { HostFacts } from "./world.ts";

/** A call that reached the daemon, as the plan sees it. */
export interface ModelCall {
  /** libvirt's, e.g. `DOMAIN_CREATE_WITH_FLAGS`. */
  readonly procedure: string;
  /** False: it only reads. */
  readonly changes: boolean;
  readonly by: "agent" | "foreign";
  readonly agentRun?: number;
  readonly vm?: string;
  readonly volume?: string;
  readonly args: unknown;
}

/** What becomes of one call. An empty plan: it is carried out and answered at once. */
export interface CallPlan {
  /** In the daemon's queue. Ordinary calls leave it in the order in which they came; those that only look do not queue. */
  readonly queueMs?: number;
  /** From where the daemon has taken it up to its effect. */
  readonly workMs?: number;
  /** From its effect up to its answer: what a read returns may be overtaken by an event meanwhile. */
  readonly answerMs?: number;
  /** libvirt refuses it, without an effect. `code`: virErrorNumber; 38 with the errno of a system error. */
  readonly refuse?: { readonly code: number; readonly message: string; readonly errno?: number };
  /** The request never reaches the daemon, or its answer never reaches the caller. */
  readonly lose?: "request" | "answer";
  /** With `lose`: the connection stays, and the caller waits for its own deadline. */
  readonly silently?: boolean;
  /** The daemon dies before the call's effect, or between its effect and its answer. `startDaemon` brings it back. */
  readonly crash?: "before" | "after";
}

export type EffectFacts = Omit<EffectBegin, "event" | "effect">;
export type EffectOutcome = Omit<EffectEnd, "event" | "effect">;

export interface ModelHostOptions {
  readonly clock: Clock;
  readonly facts?: Partial<HostFacts>;
  /** Asked for each call of an agent. */
  readonly plan?: (call: ModelCall) => CallPlan;
  /** Called before an effect begins; what it returns is called when the effect is done. */
  readonly onEffect?: (facts: EffectFacts) => (outcome: EffectOutcome) => void;
  /** How long an event is on its way; events of one connection never overtake each other. */
  readonly eventDelayMs?: () => number;
}
