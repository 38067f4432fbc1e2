/** A plan's decisions about calls of the model, and its reports of their effects. */
import type { Clock } from "../../../../agent/kernel/clock.ts";
import type { EffectBegin, EffectEnd } from "../history.ts";
import type { HostFacts } from "./world.ts";

/** A call that reached the daemon, as the plan sees it. */
export interface ModelCall {
  /** libvirt's name, e.g. `DOMAIN_CREATE_WITH_FLAGS`. */
  readonly procedure: string;
  /** False: it only reads. */
  readonly changes: boolean;
  readonly by: "agent" | "foreign";
  readonly agentRun?: number;
  readonly vm?: string;
  readonly volume?: string;
  readonly args: unknown;
}

/** The plan of one call. Empty: it is executed and answered at once. */
export interface CallPlan {
  /** The time in the daemon's queue. Ordinary calls leave it in order; read-only calls do not queue. */
  readonly queueMs?: number;
  /** From the call's start to its effect. */
  readonly workMs?: number;
  /** From the effect to the reply: an event may overtake a read meanwhile. */
  readonly answerMs?: number;
  /** libvirt refuses the call, without an effect. `code`: virErrorNumber; 38 with the errno of a system error. */
  readonly refuse?: { readonly code: number; readonly message: string; readonly errno?: number };
  /** The request never reaches the daemon, or the reply never reaches the caller. */
  readonly lose?: "request" | "answer";
  /** With `lose`: the connection stays open, and the caller waits until its own deadline. */
  readonly silently?: boolean;
  /** The daemon dies before the call's effect, or between its effect and its reply. `startDaemon` restarts it. */
  readonly crash?: "before" | "after";
}

export type EffectFacts = Omit<EffectBegin, "event" | "effect">;
export type EffectOutcome = Omit<EffectEnd, "event" | "effect">;

/** A clock whose deadlines may cost less than a sleep with a signal, which most calls abort. */
export interface ModelClock extends Clock {
  /** Calls `late` after `ms`, unless the returned function is called before. */
  deadline?(ms: number, late: () => void): () => void;
}

export interface ModelHostOptions {
  readonly clock: ModelClock;
  readonly facts?: Partial<HostFacts>;
  /** Called for each call of an agent. */
  readonly plan?: (call: ModelCall) => CallPlan;
  /** Called before an effect begins; the returned function is called when the effect is done. */
  readonly onEffect?: (facts: EffectFacts) => (outcome: EffectOutcome) => void;
  /** The delay of an event; events of one connection keep their order. */
  readonly eventDelayMs?: () => number;
}
