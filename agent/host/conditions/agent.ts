import type { Verdict } from "../trigger.ts";
import { SECOND, streak, watching, type ConditionContext, type ConditionTable } from "./condition.ts";

export const agentConditions = ({ config: { health } }: ConditionContext) =>
  ({
    AgentImpaired: {
      lag: watching(
        "eventLoopLag",
        {
          reason: "EventLoopLags",
          effect: "degraded",
          enter: streak(2, health.eventLoopLagSeconds),
          leave: streak(2, health.eventLoopGoodSeconds),
        },
        (lagMs) => lagVerdict(lagMs, health.eventLoopLagMaxSeconds * SECOND),
      ),
    },
  }) satisfies ConditionTable;

/** `lagMs`: the event loop's delay that 99 of 100 turns in the last window stayed under. */
export function lagVerdict(lagMs: number, limitMs: number): Verdict {
  const evidence = `the agent's event loop lagged ${Math.round(lagMs)} ms (p99), ${limitMs} ms is the limit`;
  return { kind: lagMs > limitMs ? "bad" : "good", evidence };
}
