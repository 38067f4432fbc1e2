import type { Recorder } from "../history.ts";
import type { SimulatedAgent } from "./simulated-agent.ts";
import type { SimulatedCallers } from "./simulated-callers.ts";

/** Like a caller of WatchVms, whose reads of a VM are monotonic too. Runs while the agent `isCurrent`. */
export async function watchVms(
  { table }: Pick<SimulatedAgent, "table">,
  isCurrent: () => boolean,
  callers: SimulatedCallers,
): Promise<void> {
  for await (const change of table.subscribe(new AbortController().signal)) {
    if (change.kind !== "item" || !isCurrent()) continue;
    if (change.value.kind === "added" || change.value.kind === "changed") callers.shown(change.value.vm);
  }
}

/**
 * Records each state of each operation as a watcher sees it, while the agent `isCurrent`. `onResume`: called when an
 * interrupted operation resumes.
 */
export async function watchOperations(
  { state: { operations } }: Pick<SimulatedAgent, "state">,
  isCurrent: () => boolean,
  recorder: Recorder,
  onResume: () => void,
): Promise<void> {
  const states = new Map<string, string>();
  const interrupted = new Set(operations.interrupted.map(({ id }) => id));
  for await (const change of operations.watch(new AbortController().signal)) {
    if (change.kind !== "item" || !isCurrent()) continue;
    const { id, kind, vmId: vm, requestId, caller, state } = change.value;
    if (states.get(id) === state) continue;
    states.set(id, state);
    const shown = state === "outcome_unknown" ? "unknown" : state;
    recorder.add({ event: "operation", operation: { id, kind, vm, requestId, caller, state: shown } });
    if (state === "running" && interrupted.has(id)) onResume();
  }
}
