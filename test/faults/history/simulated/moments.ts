import { Chance } from "./chance.ts";
import { askAbout, changesIn, fault, freeId } from "./additions.ts";
import { callers, type Action, type CallAction, type Schedule } from "./schedule.ts";
import { generateStories } from "./stories.ts";

/**
 * The schedule with faults at moments that only a simulation can hit: between an effect and its durable end, in the sync of a
 * request, in an operation that a rollback reopens. The rest of the schedule does not change.
 */
export function withMoments(schedule: Schedule): Schedule {
  const chance = new Chance(schedule.seed ^ 0x7feb352d);
  // A clock step makes the order of reads ambiguous, so such a history does not change.
  if (schedule.actions.some((action) => action.do === "fault" && action.fault === "clock_step"))
    return schedule;
  const actions = schedule.actions.map((action) => named(action, chance));
  const moments = chance.whole(0, 3);
  for (let count = 0; count < moments; count += 1) {
    const at = chance.of(changesIn(actions));
    const change = actions[at];
    if (change?.do === "call")
      chance.of([endLost, endCancelled, beginLost, rolledBack, madeSince, trespass, overtaken])({
        actions,
        at,
        change,
        chance,
      });
  }
  generateStories(actions, chance);
  return { ...schedule, actions };
}

interface Moment {
  readonly actions: Action[];
  /** The change's position. */
  readonly at: number;
  readonly change: CallAction;
  readonly chance: Chance;
}

/** Some requests use a VM's name instead of its id. */
function named(action: Action, chance: Chance): Action {
  return action.do === "call" && chance.is(0.2) ? { ...action, byName: true } : action;
}

/** The agent dies, or its disk fails, between the effect and its durable end; other clients act before it restarts. */
function endLost({ actions, at, change, chance }: Moment): void {
  const { vm } = change;
  const isSync = chance.is(0.3);
  const act = chance.of(["start", "destroy", "guest_stopped"] as const);
  actions.splice(
    at + 1,
    0,
    fault(isSync ? "sync_failed" : "kill", { at: chance.of(["effect", "end"]) }),
    { afterMs: chance.number() * 3000, do: "foreign", act, vm },
    ...(isSync ? [fault("kill", { afterMs: chance.number() * 3000 })] : []),
  );
}

/** A cancel during the write of the end, which then fails. */
function endCancelled({ actions, at, change }: Moment): void {
  actions.splice(
    at + 1,
    0,
    { afterMs: 0, do: "cancel", id: change.id, at: "end" },
    fault("sync_failed", { at: "end" }),
  );
}

/** The start record is not synced, and a restart reads its remains. */
function beginLost({ actions, at, chance }: Moment): void {
  const kill = fault("kill", { afterMs: 100 + chance.number() * 3000 });
  actions.splice(at + 1, 0, fault("sync_failed", { at: "begin" }), kill);
}

/** A rollback to an open operation, after another operation ran. */
function rolledBack({ actions, at, change, chance }: Moment): void {
  const [before, doing, undoing] = chance.of([
    ["StopVm", "StartVm", "StopVm"],
    ["StartVm", "PauseVm", "ResumeVm"],
  ] as const);
  const ask = askAbout(actions, change.vm);
  const detailsOf = (method: string): Partial<CallAction> =>
    method === "StopVm" ? { force: true, graceSeconds: 0 } : {};
  actions.splice(
    at + 1,
    0,
    ask(before, detailsOf(before)),
    ask(doing),
    fault("snapshot", { at: "effect" }),
    ask(undoing, detailsOf(undoing)),
    fault("state_rolled_back", { afterMs: 3000 + chance.number() * 3000 }),
  );
}

/** A rollback to an open creation, after its VM was deleted. */
function madeSince({ actions, at, change, chance }: Moment): void {
  const ask = askAbout(actions, change.vm);
  actions.splice(
    at + 1,
    0,
    ask("DeleteVm", { force: true }),
    fault("snapshot", { at: chance.of(["effect", "begin"]) }),
    ask("CreateVm", { hasDisk: chance.is(0.5) }),
    ask("DeleteVm", { force: true }),
    fault("state_rolled_back", { afterMs: chance.number() * 3000 }),
  );
}

/** A tenant's caller requests a change of the VM, whichever tenant owns it. */
function trespass({ actions, at, change, chance }: Moment): void {
  const caller = callers.findIndex(({ tenant }) => tenant !== undefined);
  const method = chance.of(["StartVm", "StopVm", "DeleteVm", "RebootVm"]);
  const byName = chance.is(0.5);
  const call: CallAction = {
    do: "call",
    id: freeId(actions),
    caller,
    method,
    vm: change.vm,
    force: true,
    byName,
  };
  actions.splice(at + 1, 0, { afterMs: chance.number() * 3000, ...call });
}

/** Other clients change the VM faster than it is read. */
function overtaken({ actions, at, change, chance }: Moment): void {
  const { vm } = change;
  const id = freeId(actions);
  const acts = ["start", "suspend", "resume", "destroy", "start", "suspend"] as const;
  const added = acts.flatMap((act, index): Action[] => [
    { afterMs: index === 0 ? 3000 : chance.number() * 12, do: "foreign", act, vm },
    { afterMs: chance.number() * 6, do: "call", id: id + index, caller: 0, method: "GetVm", vm },
  ]);
  actions.splice(at + 1, 0, ...added);
}
