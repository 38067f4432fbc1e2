import type { EffectBegin, EffectEnd, Fault, History } from "./history.ts";

/** An effect with its end; positions are indexes in the history. */
export interface Effect extends Omit<EffectBegin, "event"> {
  readonly at: number;
  /** Infinity: no end was recorded. */
  readonly endAt: number;
  readonly changed: boolean;
  readonly outcome: EffectEnd["outcome"];
}

/** One instance of a VM id: from a definition of the domain to its removal. */
export interface Life {
  readonly vm: string;
  readonly from: number;
  /** The start of the effect that ends it. Infinity: it exists. */
  to: number;
  /** The reply to that effect: until then a caller may still read the VM. */
  goneBy: number;
  /** It ends with its run. */
  isUndefined: boolean;
  readonly instance: string | undefined;
  readonly tenant: string | undefined;
  readonly by: Effect;
}

/** From a start to its end. */
export interface Run {
  readonly vm: string;
  readonly from: number;
  to: number;
  readonly by: Effect;
}

/** A VM's state from a position to the next one's. */
export interface StateSpan {
  readonly from: number;
  readonly state: "absent" | "stopped" | "running" | "paused";
}

export interface VmTimeline {
  readonly effects: Effect[];
  readonly lives: Life[];
  readonly runs: Run[];
  readonly states: StateSpan[];
  readonly saves: Save[];
}

/** A saved memory of the VM, from the start of its saving to the start of the effect that removes it. */
export interface Save {
  readonly from: number;
  to: number;
  readonly by: Effect;
  /** A start leaves the guest paused, as it was saved. */
  readonly isPaused: boolean;
}

const idInName = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;

/** The effects of a history by VM, and each VM's resulting states. A volume belongs to the VM id in its name. */
export function timelines(history: History): Map<string, VmTimeline> {
  const ends = new Map<number, { at: number; end: EffectEnd }>();
  history.forEach((event, at) => {
    if (event.event === "effect_end") ends.set(event.effect, { at, end: event });
  });
  const all = new Map<string, VmTimeline>();
  history.forEach((event, at) => {
    if (event.event !== "effect") return;
    const vm = event.vm ?? idInName.exec(event.volume ?? "")?.[0];
    if (vm === undefined) return;
    const found = ends.get(event.effect);
    const effect: Effect = {
      ...event,
      vm,
      at,
      endAt: found?.at ?? Infinity,
      changed: found?.end.changed ?? false,
      outcome: found?.end.outcome ?? "lost",
    };
    const timeline = all.get(vm) ?? {
      effects: [],
      lives: [],
      runs: [],
      states: [{ from: 0, state: "absent" }],
      saves: [],
    };
    all.set(vm, timeline);
    timeline.effects.push(effect);
  });
  for (const [vm, timeline] of all) {
    const turn = (effect: Effect): number => turnOf(effect, timeline.effects, history);
    for (const effect of timeline.effects.toSorted((a, b) => turn(a) - turn(b)))
      if (effect.changed) follow(timeline, vm, effect);
      else if (effect.call === "start") followFailedStart(timeline, effect);
      else if (effect.call === "save") followFailedSave(timeline, effect);
    timeline.states.sort((a, b) => a.from - b.from);
  }
  return all;
}

/**
 * The position at which the effect counts. A destroy follows the effects that began during it: it ends the guest that runs at
 * its end, also one that another client started meanwhile, and also if its reply was lost. If its daemon died, it ended before.
 * An undefine follows a start that began during it, since the domain was still defined.
 */
function turnOf(effect: Effect, effects: readonly Effect[], history: History): number {
  const { call, changed, outcome, at, endAt } = effect;
  if (!changed || endAt === Infinity) return at;
  if (call === "undefine") {
    const next = effects.find((other) => other.changed && other.at > at && definesOrStarts.has(other.call));
    return next?.call === "start" && next.at < endAt ? endAt : at;
  }
  if (call !== "destroy") return at;
  const isCutOff =
    outcome === "lost" &&
    history.slice(at, endAt).some((event) => event.event === "fault" && isOfDaemon(event));
  return isCutOff ? at : endAt;
}

const definesOrStarts: ReadonlySet<Effect["call"]> = new Set(["define", "start"]);

/** The end of libvirt's daemon. */
export const isOfDaemon = ({ fault, detail }: Fault): boolean =>
  fault === "libvirt_down" || (fault === "kill" && detail?.includes("power") === true);

/** During a start the guest is shown as paused, also if the start fails. */
function followFailedStart({ effects, states, runs }: VmTimeline, { at, endAt }: Effect): void {
  if (runs.at(-1)?.to === Infinity) return;
  // A dying daemon ends the guest before the call's recorded end; another client may start it before that end.
  states.push({ from: at, state: "paused" }, { from: at, state: "stopped" });
  const isRestarted = effects.some(
    (other) => other.call === "start" && other.changed && other.at > at && other.at < endAt,
  );
  if (endAt < Infinity && !isRestarted) states.push({ from: endAt, state: "stopped" });
}

const endsRun: ReadonlySet<Effect["call"]> = new Set(["destroy", "guest_stopped"]);

/** During a save the guest is shown as paused, also if the save fails. */
function followFailedSave({ effects, states }: VmTimeline, { at, endAt }: Effect): void {
  const before = states.findLast(({ from }) => from <= at)?.state ?? "absent";
  if (before !== "running") return;
  states.push({ from: at, state: "paused" }, { from: at, state: "running" });
  const isEnded = effects.some(
    ({ call, changed, at: other }) => changed && endsRun.has(call) && other > at && other < endAt,
  );
  if (endAt < Infinity && !isEnded) states.push({ from: endAt, state: "running" });
}

function follow({ lives, runs, states, saves }: VmTimeline, vm: string, effect: Effect): void {
  const { at, call, instance, tenant } = effect;
  // The state changes between the effect's start and its end, and other clients may act in between.
  const become = (state: StateSpan["state"]): void => {
    states.push({ from: at, state });
    if (effect.endAt < Infinity) states.push({ from: effect.endAt, state });
  };
  const life = lives.at(-1);
  const run = runs.at(-1);
  const isRunning = run !== undefined && run.to === Infinity;
  const endRun = (): void => {
    if (isRunning) run.to = Math.max(at, run.from);
  };
  const lastSave = saves.at(-1);
  const save = lastSave?.to === Infinity ? lastSave : undefined;
  const endSave = (): void => {
    if (save !== undefined) save.to = at;
  };
  const endLife = (ended: Life): void => {
    ended.to = at;
    ended.goneBy = effect.endAt;
  };
  switch (call) {
    case "define":
      if (life !== undefined && life.to === Infinity) {
        life.isUndefined = false;
        return;
      }
      lives.push({
        vm,
        from: at,
        to: Infinity,
        goneBy: Infinity,
        isUndefined: false,
        instance,
        tenant,
        by: effect,
      });
      become("stopped");
      return;
    case "undefine":
      // A domain without a definition exists until its run ends.
      if (life === undefined) return;
      endSave();
      if (isRunning) life.isUndefined = true;
      else {
        endLife(life);
        become("absent");
      }
      return;
    case "start":
      endRun();
      endSave();
      runs.push({ vm, from: at, to: Infinity, by: effect });
      // libvirt shows a starting guest as paused.
      become("paused");
      become("running");
      if (save?.isPaused === true) become("paused");
      return;
    case "destroy":
    case "guest_stopped":
      endRun();
      if (life?.isUndefined === true) endLife(life);
      become("stopped");
      if (life === undefined || life.to < Infinity) become("absent");
      return;
    case "save":
      endRun();
      saves.push({
        from: at,
        to: Infinity,
        by: effect,
        isPaused: states.findLast(({ from }) => from <= at)?.state === "paused",
      });
      become("paused");
      become("stopped");
      return;
    case "save_remove":
      endSave();
      return;
    case "suspend":
      become("paused");
      return;
    case "resume":
      become("running");
      return;
    default:
  }
}

export const lifeAt = ({ lives }: VmTimeline, at: number): Life | undefined =>
  lives.findLast(({ from }) => from <= at);

export const runAt = ({ runs }: VmTimeline, at: number): Run | undefined =>
  runs.findLast(({ from, to }) => from <= at && at <= to);
