import { askAbout, changesIn } from "./additions.ts";
import { Chance } from "./chance.ts";
import { callers, OPERATOR, SCHEDULER, type CallAction, type Schedule } from "./schedule.ts";

/** In so large a share of the histories. */
const SHARE = 0.25;
/** The contract's bound of one raise: proto/socle/v1/scheduler.proto. */
const STEP = 1_000_000;
/** Behind it, a real history that began with the previous release, where any call raises the epoch, was upgraded. */
const UPGRADED_BY = 7;

/**
 * The schedule with calls that carry a control epoch and must not raise it: reads, changes of the operator, changes of a
 * scheduler that asks for too much. The last call may be one that asks for as much as is allowed. They are drawn by a
 * generator of their own: what else is in the schedule stays as it is.
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

/** By as much as a change may raise it, mostly: further, and a bug may show as a refusal alone. */
const above = (highest: number, chance: Chance): number =>
  chance.is(0.8) ? highest + chance.whole(1, 3) : Number.MAX_SAFE_INTEGER;
