import { askAbout, fault, nextVm } from "./additions.ts";
import { Chance } from "./chance.ts";
import type { Action, Schedule } from "./schedule.ts";

/** The share of histories. */
const SHARE = 0.25;

/** The methods of `withSaves`. */
export const saveMethods: readonly string[] = ["SuspendVm", "DiscardSavedState"];

const weighted = ["SuspendVm", "SuspendVm", "SuspendVm", "DiscardSavedState", "StartVm", "StartVm", "StopVm"];

/**
 * The schedule, followed by suspensions of a new VM, starts from its saved memory and discards of it, with faults and other
 * clients' acts among them. A separate generator draws them, so what comes before does not change.
 */
export function withSaves(schedule: Schedule): Schedule {
  const chance = new Chance(schedule.seed ^ 0x4f1bbcdc);
  if (!chance.is(SHARE)) return schedule;
  const actions = [...schedule.actions];
  const vm = nextVm(actions);
  const ask = askAbout(actions, vm);
  const create = ask("CreateVm", { hasDisk: chance.is(0.5) });
  actions.push(create);
  const ids = [create.id];
  const most = chance.whole(4, 9);
  for (let count = 0; count < most; count += 1) {
    const method = count === 0 ? "SuspendVm" : chance.of([...weighted, "PauseVm", "DeleteVm"]);
    const trouble = troubleOf(chance, vm, ids);
    if (trouble !== undefined) actions.push(trouble);
    const request = ask(method, {
      afterMs: chance.is(0.4) ? chance.number() * 40 : chance.number() * 10_000,
      ...(method === "StopVm" || method === "DeleteVm" ? { force: true, graceSeconds: 0 } : {}),
    });
    ids.push(request.id);
    actions.push(request);
    if (method === "DeleteVm") actions.push(ask("CreateVm"));
    if (chance.is(0.4)) actions.push(actOf(chance, vm));
  }
  return { ...schedule, actions };
}

const actOf = (chance: Chance, vm: number): Action => ({
  afterMs: chance.number() * (chance.is(0.5) ? 2000 : 10_000),
  do: "foreign",
  act: chance.of(["save", "save_remove", "start", "start", "destroy", "guest_stopped"]),
  vm,
});

function troubleOf(chance: Chance, vm: number, ids: readonly number[]): Action | undefined {
  const afterMs = 3000 + chance.number() * 5000;
  if (chance.is(0.4)) return undefined;
  return chance.of<Action>([
    fault("kill", { afterMs, at: chance.of(["save", "save_remove", "set_metadata", "effect", "sync"]) }),
    fault("kill", { afterMs, at: chance.of(["save", "end"]) }),
    fault("answer_lost", { afterMs, silently: chance.is(0.3), of: "DOMAIN_MANAGED_SAVE" }),
    fault("answer_lost", { afterMs, of: "DOMAIN_MANAGED_SAVE_REMOVE" }),
    fault("libvirt_down", { afterMs, at: "set_metadata", forMs: chance.number() * 20_000 }),
    fault("libvirt_down", { afterMs, forMs: chance.number() * 20_000 }),
    fault("sync_failed", { afterMs }),
    { afterMs, do: "foreign", act: chance.of(["start", "save_remove"]), vm, at: "save" },
    { afterMs, do: "cancel", id: chance.of(ids) },
    { afterMs, do: "again", id: chance.of(ids) },
  ]);
}
