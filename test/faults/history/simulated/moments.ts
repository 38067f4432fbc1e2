import { Chance } from "./chance.ts";
import { callers, type Action, type CallAction, type FaultAction, type Schedule } from "./schedule.ts";

/**
 * The schedule with trouble at moments that only a simulation can hit: between an effect and its end on the disk, in the
 * sync of a request, in an operation that a rollback makes open again. What else is in the schedule stays as it is.
 */
export function withMoments(schedule: Schedule): Schedule {
  const chance = new Chance(schedule.seed ^ 0x7feb352d);
  // A clock step makes the order of reads hard to tell: such a history stays as it is.
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
  if (chance.is(0.2)) repeatedLater(actions, chance);
  if (chance.is(0.1)) etagOvertaken(actions, chance);
  if (chance.is(0.2)) endUnrecorded(actions, chance);
  if (chance.is(0.05)) refusedInCopy(actions, chance);
  if (chance.is(0.2)) copyPutBack(actions, chance);
  if (chance.is(0.1)) forcedNoMore(actions, chance);
  if (chance.is(0.1)) silentAfterEffect(actions, chance);
  return { ...schedule, actions };
}

interface Moment {
  readonly actions: Action[];
  /** Of the change. */
  readonly at: number;
  readonly change: CallAction;
  readonly chance: Chance;
}

const isChange = (action: Action): boolean =>
  action.do === "call" && action.method !== "GetVm" && action.method !== "ListVms";

const changesIn = (actions: readonly Action[]): number[] =>
  actions.flatMap((action, at) => (isChange(action) ? [at] : []));

/** Some say a VM's name instead of its id. */
function named(action: Action, chance: Chance): Action {
  return action.do === "call" && chance.is(0.2) ? { ...action, byName: true } : action;
}

const fault = (
  kind: FaultAction["fault"],
  rest: Partial<FaultAction> & { afterMs?: number } = {},
): Action => ({
  afterMs: 0,
  do: "fault",
  fault: kind,
  ...rest,
});

/** The agent dies, or its disk fails, when the effect is there and its end is not; others act before it is back. */
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

/** Cancelled while its end is written, which then fails. */
function endCancelled({ actions, at, change }: Moment): void {
  actions.splice(
    at + 1,
    0,
    { afterMs: 0, do: "cancel", id: change.id, at: "end" },
    fault("sync_failed", { at: "end" }),
  );
}

/** Its begin is not synced, and a restart reads what is left of it. */
function beginLost({ actions, at, chance }: Moment): void {
  const kill = fault("kill", { afterMs: 100 + chance.number() * 3000 });
  actions.splice(at + 1, 0, fault("sync_failed", { at: "begin" }), kill);
}

/** The state goes back to where an operation was open, after another had its turn. */
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

/** The state goes back to where a creation was open, after its VM was deleted. */
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

/** After a restart, requests are sent again that ended long before. */
function repeatedLater(actions: Action[], chance: Chance): void {
  const ids = changesIn(actions).flatMap((at) => (actions[at]?.do === "call" ? [actions[at].id] : []));
  const again = Array.from({ length: 4 }, (): Action => ({ afterMs: 3000, do: "again", id: chance.of(ids) }));
  actions.push(fault("kill", { afterMs: 20_000 }), ...again);
}

/** Somebody else changes a VM between the admission of its deletion with an etag and the first effect of that. */
function etagOvertaken(actions: Action[], chance: Chance): void {
  const vm = nextVm(actions);
  const ask = askAbout(actions, vm);
  actions.push(
    ask("CreateVm", { hasDisk: true }),
    ask("GetVm"),
    ask("DeleteVm", { force: true, withEtag: true }),
    fault("kill", { afterMs: 5 + chance.number() * 30 }),
    { afterMs: 0, do: "foreign", act: "destroy", vm },
  );
}

/** The watermark cannot be recorded, by libvirt or in the directory, when an operation ends; then the state goes back to before. */
function endUnrecorded(actions: Action[], chance: Chance): void {
  const vm = nextVm(actions);
  const ask = askAbout(actions, vm);
  const create = ask("CreateVm", { hasDisk: chance.is(0.5), leaveStopped: true });
  const gracefulStop = ask("StopVm", { graceSeconds: 1 });
  const forcedStop = ask("StopVm", { force: true, graceSeconds: 0 });
  const away = [
    fault("snapshot", { at: chance.of(["begin", "effect"]) }),
    fault(chance.of(["secrets_down", "inodes_full"]), { forMs: 20_000 + chance.number() * 30_000 }),
  ];
  const restarted = (id: number): Action[] => [
    fault("kill", { afterMs: 8000 }),
    { afterMs: 4000, do: "look", id },
  ];
  const back = fault("state_rolled_back", { afterMs: chance.number() * 3000 });
  if (chance.is(0.5))
    actions.push(
      ...[create, ...away, ...restarted(create.id)],
      { afterMs: 0, do: "foreign", act: "undefine", vm },
      back,
    );
  else
    actions.push(
      ...[ask("CreateVm"), gracefulStop, ...away],
      ...(chance.is(0.5) ? [forcedStop, ask("StartVm")] : restarted(gracefulStop.id)),
      { afterMs: 3000, do: "foreign", act: "start", vm },
      back,
    );
}

/** A copy of the state is made while a request is in it whose sync then fails, and put in the state's place. */
function refusedInCopy(actions: Action[], chance: Chance): void {
  const ask = askAbout(actions, nextVm(actions));
  actions.push(
    ask("CreateVm", { hasDisk: chance.is(0.5) }),
    fault("snapshot", { at: "begin" }),
    fault("sync_failed", { at: "begin" }),
    fault("state_rolled_back", { afterMs: 5000 + chance.number() * 3000 }),
  );
}

/** The state goes back to before an end that was shown: under the running agent, or while libvirt refuses its secrets. */
function copyPutBack(actions: Action[], chance: Chance): void {
  const ask = askAbout(actions, nextVm(actions));
  const create = ask("CreateVm", { hasDisk: chance.is(0.5), leaveStopped: true });
  actions.push(create, fault("snapshot", { at: chance.of(["begin", "effect"]) }), {
    afterMs: 3000,
    do: "foreign",
    act: "undefine",
    vm: create.vm,
  });
  const afterMs = chance.number() * 20_000;
  if (chance.is(0.5))
    actions.push(
      fault("state_rolled_back", { afterMs, underAgent: true }),
      fault(chance.of(["stop", "kill"]), { afterMs: chance.number() * 20_000 }),
    );
  else
    actions.push(
      fault("secrets_refused", { afterMs, forMs: 20_000 + chance.number() * 30_000 }),
      fault("state_rolled_back"),
      { afterMs: 15_000, do: "look", id: create.id },
    );
}

/** A stop waits for its guest while a forced one's request is repeated after its end, or one behind it is cancelled. */
function forcedNoMore(actions: Action[], chance: Chance): void {
  const ask = askAbout(actions, nextVm(actions));
  const patient = { force: false, graceSeconds: 60 };
  actions.push(ask("CreateVm"));
  if (chance.is(0.5)) {
    const forced = ask("StopVm", { force: true, graceSeconds: 0 });
    actions.push(forced, ask("StartVm"), ask("StopVm", patient), {
      afterMs: 10_000,
      do: "again",
      id: forced.id,
    });
  } else {
    const stop = ask("StopVm", patient);
    const forced = ask("StopVm", { force: true, graceSeconds: 20 });
    actions.push(stop, forced, { afterMs: 3000, do: "cancel", id: forced.id });
    actions.push({ afterMs: 30_000, do: "look", id: stop.id });
  }
}

/** libvirt cannot be asked right after an effect of a deletion. */
function silentAfterEffect(actions: Action[], chance: Chance): void {
  const ask = askAbout(actions, nextVm(actions));
  const create = ask("CreateVm", { hasDisk: chance.is(0.3), leaveStopped: chance.is(0.6) });
  const deletion = ask("DeleteVm", { force: true });
  const silent = { at: "effect", ofRead: "DOMAIN_GET_STATE", silently: chance.is(0.3) } as const;
  actions.push(
    create,
    fault("answer_lost", { afterMs: 3000, ...silent }),
    { ...deletion, afterMs: chance.number() * 10 },
    { afterMs: 40_000, do: "look", id: deletion.id },
  );
}

/** Others change the VM faster than it is read. */
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

type Ask = (method: string, details?: Partial<CallAction>) => Action & CallAction;

/** The operator's requests about a VM, each 3 s after what is before it. */
function askAbout(actions: readonly Action[], vm: number): Ask {
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

/** A VM that no schedule names yet. */
const nextVm = (actions: readonly Action[]): number =>
  Math.max(...actions.map((action) => (action.do === "call" ? action.vm : 0))) + 1;

/** Names a call that is in no schedule yet. */
const freeId = (actions: readonly Action[]): number =>
  Math.max(...actions.map((action) => (action.do === "call" ? action.id : 0))) + 1;
