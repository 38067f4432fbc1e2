import type { Report } from "../../../agent/state/operations/run.ts";
import type { Step } from "../../../agent/state/operations/operations.ts";

/** Steps without records; `begun` gets the name of each before its work. */
export function steps(begun: (name: string) => void = () => undefined): Step {
  const step = async <T>(name: string, work: (report: Report) => Promise<T>): Promise<T> => {
    begun(name);
    return await work(() => undefined);
  };
  return Object.assign(step, {
    durable: step,
    undo: (_name: string, work: () => Promise<void>): Promise<void> => work(),
    undoDurably: (_name: string, work: () => Promise<void>): Promise<void> => work(),
    commit: () => undefined,
    goOn: () => undefined,
    requireOpen: () => undefined,
  });
}
