import { type Action, type CallAction, type FaultAction } from "./schedule.ts";

const isChange = (action: Action): boolean =>
  action.do === "call" && action.method !== "GetVm" && action.method !== "ListVms";

/** The positions of a schedule's changes. */
export const changesIn = (actions: readonly Action[]): number[] =>
  actions.flatMap((action, at) => (isChange(action) ? [at] : []));

export const fault = (
  kind: FaultAction["fault"],
  rest: Partial<FaultAction> & { afterMs?: number } = {},
): Action => ({
  afterMs: 0,
  do: "fault",
  fault: kind,
  ...rest,
});

export type Ask = (
  method: string,
  details?: Partial<CallAction> & { readonly afterMs?: number },
) => Action & CallAction;

/** The operator's requests for a VM, each 3 s after the previous action. */
export function askAbout(actions: readonly Action[], vm: number): Ask {
  let id = freeId(actions);
  return (method, details = {}) => ({
    afterMs: 3000,
    do: "call",
    id: id++,
    caller: 0,
    method,
    vm,
    ...details,
  });
}

/** A VM that the schedule does not name yet. */
export const nextVm = (actions: readonly Action[]): number =>
  Math.max(...actions.map((action) => (action.do === "call" ? action.vm : 0))) + 1;

/** An unused call id. */
export const freeId = (actions: readonly Action[]): number =>
  Math.max(...actions.map((action) => (action.do === "call" ? action.id : 0))) + 1;
