import { freeId, nextVm } from "./additions.ts";
import { Chance } from "./chance.ts";
import { callers, detailsOf, methodOf, SECOND_TENANT, type Action, type Schedule } from "./schedule.ts";

/** The share of histories. */
const SHARE = 0.25;

/**
 * The schedule with calls of a second tenant's scheduler, on the VMs of all others and on its own. A separate generator draws
 * them, so the rest of the schedule does not change.
 */
export function withSecondTenant(schedule: Schedule): Schedule {
  const chance = new Chance(schedule.seed ^ 0x2c1b3c6d);
  if (!chance.is(SHARE)) return schedule;
  const actions = [...schedule.actions];
  const { tenant } = callers[SECOND_TENANT] ?? {};
  const vms = nextVm(actions);
  const calls = chance.whole(3, 8);
  for (let count = 0; count < calls; count += 1) {
    const at = chance.whole(1, actions.length);
    const method = count === 0 ? "CreateVm" : methodOf(chance);
    const controlEpoch = epochAt(actions, at);
    actions.splice(at, 0, {
      afterMs: chance.number() * (chance.is(0.5) ? 40 : 3000),
      do: "call",
      id: freeId(actions),
      caller: SECOND_TENANT,
      method,
      vm: count === 0 ? vms : chance.whole(0, vms),
      ...(controlEpoch === 0 ? {} : { controlEpoch }),
      ...detailsOf(method, chance, tenant),
    });
  }
  return { ...schedule, actions };
}

/** The schedulers' highest control epoch so far, since a lower one is refused. */
function epochAt(actions: readonly Action[], at: number): number {
  const epochs = actions
    .slice(0, at)
    .map((action) => (action.do === "call" ? (action.controlEpoch ?? 0) : 0));
  return Math.max(0, ...epochs);
}
