import { askAbout, changesIn, fault, nextVm } from "./additions.ts";
import type { Chance } from "./chance.ts";
import { SCHEDULER, type Action, type CallAction } from "./schedule.ts";

/** The share of histories of each story. */
const stories: readonly (readonly [share: number, story: (actions: Action[], chance: Chance) => void])[] = [
  [0.2, repeatedLater],
  [0.1, etagOvertaken],
  [0.2, endUnrecorded],
  [0.05, refusedInCopy],
  [0.2, copyPutBack],
  [0.1, forcedNoMore],
  [0.1, silentAfterEffect],
  [0.1, startedUnanswered],
  [0.1, endedWithLibvirt],
  [0.1, deletionCancelled],
  [0.1, epochInCopy],
  [0.1, journalLost],
  [0.1, erasedUnderway],
  [0.05, deletionResumed],
];

/** Appends sequences to a schedule that rarely occur at random, mostly on a separate VM. */
export function generateStories(actions: Action[], chance: Chance): void {
  for (const [share, story] of stories) if (chance.is(share)) story(actions, chance);
}

/** After a restart, requests that ended long ago are repeated. */
function repeatedLater(actions: Action[], chance: Chance): void {
  const ids = changesIn(actions).flatMap((at) => (actions[at]?.do === "call" ? [actions[at].id] : []));
  const again = Array.from({ length: 4 }, (): Action => ({ afterMs: 3000, do: "again", id: chance.of(ids) }));
  actions.push(fault("kill", { afterMs: 20_000 }), ...again);
}

/** Another client changes a VM between the admission of its deletion with an etag and the first effect. */
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

/** libvirt or the directory cannot record the watermark when an operation ends; then the state is rolled back. */
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

/** The state is copied with a request whose sync then fails, and rolled back to the copy. */
function refusedInCopy(actions: Action[], chance: Chance): void {
  const ask = askAbout(actions, nextVm(actions));
  actions.push(
    ask("CreateVm", { hasDisk: chance.is(0.5) }),
    fault("snapshot", { at: "begin" }),
    fault("sync_failed", { at: "begin" }),
    fault("state_rolled_back", { afterMs: 5000 + chance.number() * 3000 }),
  );
}

/** A rollback to before a shown end: under the running agent, or while libvirt refuses secrets. */
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
  else {
    const another = ask("CreateVm", { vm: create.vm + 1 });
    const refused = chance.whole(0, 2);
    actions.push(
      fault("secrets_refused", { afterMs, forMs: 20_000 + chance.number() * 30_000 }),
      fault("state_rolled_back"),
      ...Array.from({ length: refused }, (_, at) => ({ ...another, id: another.id + at })),
      { afterMs: 15_000, do: "look", id: create.id },
    );
  }
}

/** A stop waits for its guest while an ended forced stop is repeated, or a later stop is cancelled. */
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

/** libvirt is unavailable right after an effect of a deletion. */
function silentAfterEffect(actions: Action[], chance: Chance): void {
  const ask = askAbout(actions, nextVm(actions));
  const create = ask("CreateVm", { hasDisk: chance.is(0.3), leaveStopped: chance.is(0.6) });
  const deletion = ask("DeleteVm", { force: true });
  const silent = { at: "effect", of: "DOMAIN_GET_STATE", silently: chance.is(0.3) } as const;
  actions.push(
    create,
    fault("answer_lost", { afterMs: 3000, ...silent }),
    { ...deletion, afterMs: chance.number() * 10 },
    { afterMs: 40_000, do: "look", id: deletion.id },
  );
}

/** The reply to a destroy is lost, and another client starts the VM again before the agent observes that. */
function startedUnanswered(actions: Action[], chance: Chance): void {
  const vm = nextVm(actions);
  const ask = askAbout(actions, vm);
  const create = ask("CreateVm", { hasDisk: chance.is(0.3) });
  const stop = ask("StopVm", { force: true, graceSeconds: 0 });
  actions.push(
    create,
    fault("answer_lost", { afterMs: 3000, of: "DOMAIN_DESTROY_FLAGS" }),
    { afterMs: 0, do: "foreign", act: "start", vm, at: "destroy" },
    { ...stop, afterMs: chance.number() * 10 },
    { afterMs: 20_000, do: "look", id: stop.id },
  );
}

/** A creation's guest ends with libvirt before the agent receives the reply to its start. */
function endedWithLibvirt(actions: Action[], chance: Chance): void {
  const create = askAbout(actions, nextVm(actions))("CreateVm", { hasDisk: true });
  actions.push(
    fault("libvirt_down", { at: "start", withGuests: true, forMs: chance.number() * 20_000 }),
    create,
    { afterMs: 30_000, do: "look", id: create.id },
  );
}

/** A deletion is cancelled at its first effects. */
function deletionCancelled(actions: Action[], chance: Chance): void {
  const ask = askAbout(actions, nextVm(actions));
  const create = ask("CreateVm", { hasDisk: chance.is(0.7), leaveStopped: chance.is(0.3) });
  const deletion = ask("DeleteVm", { force: true });
  actions.push(
    create,
    deletion,
    { afterMs: 0, do: "cancel", id: deletion.id, at: chance.of(["destroy", "effect"]) },
    { afterMs: 20_000, do: "look", id: deletion.id },
  );
}

/** A rollback to before a raise of the control epoch, after which the replaced scheduler continues. */
function epochInCopy(actions: Action[], chance: Chance): void {
  const ask = askAbout(actions, nextVm(actions));
  const epochs = actions.map((action) => (action.do === "call" ? (action.controlEpoch ?? 0) : 0));
  const replaced = Math.max(1, ...epochs);
  const as = (controlEpoch: number): Partial<CallAction> => ({ caller: SCHEDULER, controlEpoch });
  actions.push(
    ask("CreateVm", as(replaced)),
    fault("snapshot", { afterMs: 2000 }),
    ask("StopVm", { force: true, graceSeconds: 0, ...as(replaced + 1) }),
    fault("state_rolled_back", { afterMs: 2000 + chance.number() * 20_000 }),
    ask("StartVm", { ...as(replaced), afterMs: 10_000 }),
  );
}

/** Requests are repeated while the operations journal is missing, and after its return. */
function journalLost(actions: Action[], chance: Chance): void {
  const ask = askAbout(actions, nextVm(actions));
  const create = ask("CreateVm", { hasDisk: chance.is(0.5) });
  const stop = ask("StopVm", { force: true, graceSeconds: 0 });
  const again = (id: number): Action => ({ afterMs: 10_000, do: "again", id });
  actions.push(
    ...[create, stop],
    fault("journal_lost", { afterMs: chance.number() * 10_000, forMs: 60_000 }),
    ...[again(stop.id), ask("StartVm"), again(create.id)],
    { afterMs: 40_000, do: "again", id: stop.id },
  );
}

/** During an erasure another client starts the VM, a caller cancels, or the agent dies. */
function erasedUnderway(actions: Action[], chance: Chance): void {
  const vm = nextVm(actions);
  const ask = askAbout(actions, vm);
  const create = ask("CreateVm", { hasDisk: true, leaveStopped: chance.is(0.4) });
  const erasure = ask("DeleteVm", { force: chance.is(0.6), eraseDisks: true });
  const at = chance.of(["destroy", "set_metadata", "volume_wipe"] as const);
  const trouble: Action = chance.of([
    { afterMs: 0, do: "foreign", act: "start", vm, at },
    { afterMs: 0, do: "cancel", id: erasure.id, at },
    fault("kill", { at }),
    fault("kill", { at }),
    fault("answer_lost", { of: "STORAGE_VOL_WIPE" }),
  ]);
  actions.push(
    create,
    { afterMs: 3000, do: "cancel", id: erasure.id, at: "resume" },
    // The agent has not read the VM then.
    fault("answer_lost", { of: "DOMAIN_GET_METADATA", at: "resume" }),
    trouble,
    { ...erasure, afterMs: 0 },
    { afterMs: 20_000, do: "look", id: erasure.id },
    ask("DeleteVm", { force: true, eraseDisks: chance.is(0.5) }),
  );
}

/** An agent dies during a deletion, which is cancelled as soon as the next agent resumes it. */
function deletionResumed(actions: Action[], chance: Chance): void {
  const ask = askAbout(actions, nextVm(actions));
  const create = ask("CreateVm", { hasDisk: chance.is(0.5), leaveStopped: chance.is(0.3) });
  const deletion = ask("DeleteVm", { force: true });
  actions.push(
    create,
    { afterMs: 3000, do: "cancel", id: deletion.id, at: "resume" },
    fault("kill", { at: chance.of(["destroy", "effect"]) }),
    { ...deletion, afterMs: 0 },
    { afterMs: 20_000, do: "look", id: deletion.id },
  );
}
