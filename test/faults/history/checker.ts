import { answerRules } from "./answer-rules.ts";
import { explainEffects } from "./effect-rules.ts";
import { epochRules } from "./epoch-rules.ts";
import type { History } from "./history.ts";
import { requestsOf } from "./requests.ts";
import { timelines } from "./timeline.ts";
import { worldRules } from "./world-rules.ts";

export interface Violation {
  /** The violated rule, in a few words. */
  readonly rule: string;
  readonly message: string;
  /** The index of the event that shows the violation. */
  readonly at: number;
  readonly vm?: string;
}

/**
 * Checks a history: returns its violations in the order of their events. Pure, and shares no code with the agent. README.md
 * lists the rules.
 */
export function check(history: History): Violation[] {
  const requests = requestsOf(history);
  const byVm = timelines(history);
  const violations: Violation[] = [];
  for (const [vm, timeline] of byVm) {
    const found = explainEffects(history, vm, timeline, requests.accepted);
    if (found !== undefined) violations.push(found);
  }
  violations.push(...answerRules(history, requests, byVm), ...epochRules(history, requests));
  violations.push(...worldRules(history, requests, byVm));
  return violations.sort((a, b) => a.at - b.at);
}

/**
 * The history for a reader: the events of the violation's VM, the faults, and the event that shows the violation. `around`:
 * the maximum of lines before and after that event.
 */
export function describe(
  history: History,
  { rule, message, vm, at: shownAt }: Violation,
  around = Infinity,
): string {
  const ofVm = new Set<number>();
  for (const event of history)
    if (event.event === "request" && (vm === undefined || event.vm === undefined || event.vm === vm))
      ofVm.add(event.seq);
  const effects = new Set<number>();
  for (const event of history)
    if (event.event === "effect" && (vm === undefined || (event.vm ?? event.volume ?? vm).includes(vm)))
      effects.add(event.effect);
  const shown = history.flatMap((event, at) => {
    if (event.event === "request" || event.event === "answer") {
      if (!ofVm.has(event.seq)) return [];
    } else if (event.event === "effect" || event.event === "effect_end") {
      if (!effects.has(event.effect)) return [];
    } else if (event.event === "operation") {
      if (vm !== undefined && event.operation.vm !== vm) return [];
    }
    const { atMs, ...fact } = event;
    const line = `${at === shownAt ? "->" : "  "} ${atMs.toFixed(0).padStart(8)} ms ${JSON.stringify(fact)}`;
    return [{ at, line }];
  });
  const before = shown.filter(({ at }) => at < shownAt).length;
  const lines = shown.slice(Math.max(0, before - around), before + 1 + around).map(({ line }) => line);
  return [`${rule}: ${message}`, ...lines].join("\n");
}
