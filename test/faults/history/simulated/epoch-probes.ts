import { askAbout, changesIn } from "./additions.ts";
import { Chance } from "./chance.ts";
import { callers, OPERATOR, SCHEDULER, type CallAction, type Schedule } from "./schedule.ts";

/** The share of histories. */
const SHARE = 0.25;
/** The contract's bound of one raise: proto/socle/v1/scheduler.proto. */
const STEP = 1_000_000;
/** After this point, a history that began with the previous release is upgraded; before, any call raises the epoch. */
const UPGRADED_BY = 7;

/**
 * The schedule with calls that carry a control epoch and must not raise it: reads, changes of the operator, and changes of a
 * scheduler above the bound. The last call may request exactly the bound. A separate generator draws them, so the rest of the
 * schedule does not change.
 */
export function withEpochProbes(schedule: Schedule): Schedule {
  const chance = new Chance(schedule.seed ^ 0x68e31da4);
  if (schedule.actions.length < UPGRADED_BY || !chance.is(SHARE)) return schedule;
  const actions = [...schedule.actions];
  const calls = actions.filter((action) => action.do === "call");
  const raises = changesIn(actions).flatMap((at) => {
    const change = actions[at];
    return change?.do === "call" && change.caller === SCHEDULER ? [change.controlEpoch ?? 0] : [];
  });
  const highest = Math.max(0, ...raises);
  const ask = askAbout(actions, chance.of(calls).vm);
  const probes = chance.whole(1, 3);
  for (let count = 0; count < probes; count += 1) {
    const probe = chance.of([read, operatorsChange, tooFar]);
    const at = chance.whole(UPGRADED_BY, actions.length);
    const [method, details] = probe(highest, chance);
    actions.splice(at, 0, ask(method, { afterMs: chance.number() * 300, ...details }));
  }
  if (chance.is(0.5)) actions.push(ask("ResumeVm", { caller: SCHEDULER, controlEpoch: highest + STEP }));
  return { ...schedule, actions };
}

type Probe = (highest: number, chance: Chance) => readonly [method: string, details: Partial<CallAction>];

const read: Probe = (highest, chance) => [
  chance.of(["GetVm", "ListVms"]),
  { caller: chance.whole(0, callers.length - 1), controlEpoch: above(highest, chance) },
];

const operatorsChange: Probe = (highest, chance) => [
  chance.of(["StartVm", "PauseVm", "ResumeVm"]),
  { caller: OPERATOR, controlEpoch: above(highest, chance) },
];

const tooFar: Probe = (highest, chance) => [
  chance.of(["StartVm", "PauseVm", "ResumeVm"]),
  {
    caller: SCHEDULER,
    controlEpoch: chance.of([highest + STEP + chance.whole(1, 3), Number.MAX_SAFE_INTEGER]),
  },
];

/** Mostly within the bound of one change: beyond it, a bug may show only as a refusal. */
const above = (highest: number, chance: Chance): number =>
  chance.is(0.8) ? highest + chance.whole(1, 3) : Number.MAX_SAFE_INTEGER;
