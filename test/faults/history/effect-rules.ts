import type { EffectCall, History } from "./history.ts";
import { callsOf, onceOnly } from "./effect-calls.ts";
import { isForgetting, type Accepted } from "./requests.ts";
import { isOfDaemon, lifeAt, runAt, type Effect, type Life, type Run, type VmTimeline } from "./timeline.ts";
import type { Violation } from "./checker.ts";

/** A cancelled forced stop may have cut another stop short just before. */
const CUT_WITHIN_MS = 5000;
/** After a lost connection, libvirt still holds the sent calls in its queue. */
const LATE_STAMP_WITHIN_MS = 5000;

/** The facts of a history that decide to which operation an effect may belong. */
interface Context {
  readonly history: History;
  /** Operations on this VM. */
  readonly byKey: ReadonlyMap<string, Accepted>;
  /** Stops with force. */
  readonly forced: readonly Accepted[];
  readonly timeline: VmTimeline;
  readonly starts: readonly number[];
  /** Positions at which the agent's state was rolled back or lost. */
  readonly rollbacks: readonly number[];
}

/** The state of one explanation of the effects so far: the current operation, and the earlier ones. */
interface Way {
  readonly current: Accepted | undefined;
  /** Earlier operations in order. */
  readonly over: ReadonlySet<string>;
  readonly done: ReadonlySet<string>;
}

/**
 * Assigns every effect on one VM to one accepted operation: of the right method, instance and run, within the operation's time,
 * without overlap or repetition. Returns the first effect without an assignment.
 */
export function explainEffects(
  history: History,
  vm: string,
  timeline: VmTimeline,
  accepted: readonly Accepted[],
): Violation | undefined {
  const operations = accepted.filter(({ request }) => request.vm === vm);
  const context: Context = {
    history,
    byKey: new Map(operations.map((operation) => [operation.key, operation])),
    forced: operations.filter(({ request }) => request.method === "StopVm" && request.force !== false),
    timeline,
    starts: history.flatMap((event, at) => (event.event === "agent_start" ? [at] : [])),
    rollbacks: history.flatMap((event, at) =>
      event.event === "fault" && isForgetting(event.fault) ? [at] : [],
    ),
  };
  let ways: Way[] = [{ current: undefined, over: new Set(), done: new Set() }];
  for (const effect of timeline.effects) {
    if (effect.by === "foreign") {
      // An effect that another client reverted may be repeated.
      if (effect.changed)
        for (const undone of undoneBy[effect.call] ?? [])
          ways = ways.map((way) => (hasStopped(way) ? way : without(way, undone)));
      continue;
    }
    // An attempt without a change is harmless: libvirt refuses it.
    if (effect.outcome !== "ok" && !effect.changed) continue;
    const able = operations.filter((operation) => whyNot(operation, effect, context) === undefined);
    const next = new Map<string, Way>();
    for (const way of ways)
      for (const operation of able) {
        // It does not change the current operation.
        const isAgain = isStampAgain(operation, effect, context);
        const taken = isAgain
          ? way
          : take(undoneWithin(way, effect, timeline), { operation, effect, context });
        if (taken !== undefined) next.set(keyOf(taken), taken);
      }
    if (next.size === 0) return unexplained(effect, operations, able, { context, vm });
    ways = [...next.values()];
  }
  return undefined;
}

/** A stop ends the run of its request and no later one. */
const hasStopped = ({ current, done }: Way): boolean =>
  current?.request.method === "StopVm" && done.has("destroy ");

/** Effects are ordered by their starts: a call may repeat an effect that another client reverted during the call. */
function undoneWithin(way: Way, { call, at, endAt }: Effect, { effects }: VmTimeline): Way {
  const isUndone = effects.some(
    (other) =>
      other.by === "foreign" &&
      other.changed &&
      other.at > at &&
      other.at < endAt &&
      undoneBy[other.call]?.includes(call) === true,
  );
  return isUndone ? without(way, call) : way;
}

const undoneBy: Partial<Record<EffectCall, readonly EffectCall[]>> = {
  undefine: ["define"],
  destroy: ["start"],
  guest_stopped: ["start"],
  volume_delete: ["volume_create"],
  start: ["destroy"],
  resume: ["suspend"],
  suspend: ["resume"],
  save: ["start", "save_remove"],
};

interface Turn {
  readonly operation: Accepted;
  readonly effect: Effect;
  readonly context: Context;
}

function take(way: Way, turn: Turn): Way | undefined {
  const { operation, effect } = turn;
  const isSame = way.current === operation;
  if (!isSame && way.over.has(operation.key) && !mayGoOn(way, turn)) return undefined;
  const over = isSame || way.current === undefined ? way.over : withLast(way.over, way.current.key);
  const before = isSame ? way.done : new Set<string>();
  const thing = `${effect.call} ${effect.volume ?? ""}`;
  const isOnce = onceOnly.has(effect.call) && (effect.changed || effect.call === "reboot");
  if (isOnce && before.has(thing)) return undefined;
  if (isMaking.has(operation.request.method) && effect.changed) {
    // A rollback removes only what the operation created.
    const made = { volume_delete: "volume_create", undefine: "define" }[effect.call as string];
    if (made !== undefined && !before.has(`${made} ${effect.volume ?? ""}`)) return undefined;
  }
  if (!isOnce) return { current: operation, over, done: before };
  const done = new Set([...before, thing]);
  if (isTakenBack(operation, effect)) {
    // The same operation may create again what it rolled back.
    for (const undone of undoneBy[effect.call] ?? []) done.delete(`${undone} ${effect.volume ?? ""}`);
    done.delete(thing);
  }
  return { current: operation, over, done };
}

/** An operation may run more than once: its last run counts. */
function withLast(over: ReadonlySet<string>, key: string): ReadonlySet<string> {
  const turns = new Set(over);
  turns.delete(key);
  return turns.add(key);
}

/**
 * After a rollback the agent continues the operation, although others ran since. It cannot know of them: their marks ended with
 * the marked runs, and no end of them was shown before the rollback.
 */
function mayGoOn({ current, over }: Way, { operation, effect, context }: Turn): boolean {
  const turns = [...over];
  const since = turns.slice(turns.indexOf(operation.key)).flatMap((key) => context.byKey.get(key) ?? []);
  const concerned = current === undefined ? since : [...since, current];
  const isForgotten = context.rollbacks.some(
    (rollback) =>
      rollback < effect.at && concerned.every(({ from, endedAt }) => from < rollback && endedAt > rollback),
  );
  return isForgotten && concerned.every((one) => one === operation || isMarkGone(one, effect, context));
}

/** The operation only marked runs of the guest that have ended. */
function isMarkGone({ operationId }: Accepted, { at }: Effect, { timeline }: Context): boolean {
  const run = runAt(timeline, at);
  const stamps = timeline.effects.filter(
    ({ stamp }) => stamp !== undefined && stamp.operation === operationId,
  );
  return (
    stamps.length > 0 &&
    stamps.every((effect) => effect.stamp?.phase === "run" && runAt(timeline, effect.at) !== run)
  );
}

const isMaking: ReadonlySet<string> = new Set(["CreateVm", "AttachDisk"]);

const isTakenBack = ({ request }: Accepted, { call }: Effect): boolean =>
  call === "volume_delete" || (request.method === "CreateVm" && (call === "undefine" || call === "destroy"));

function without(way: Way, call: EffectCall): Way {
  return { ...way, done: new Set([...way.done].filter((thing) => !thing.startsWith(`${call} `))) };
}

const keyOf = ({ current, over, done }: Way): string =>
  `${current?.key ?? ""}|${[...over].sort().join()}|${[...done].sort().join()}`;

/** Why the effect does not belong to this operation; undefined: it may. */
function whyNot(operation: Accepted, effect: Effect, context: Context): string | undefined {
  const { request, from, endedAt, operationId, end } = operation;
  if (callsOf[request.method]?.has(effect.call) !== true) return `is a ${request.method}`;
  if (effect.at < from) return "was asked later";
  if (
    effect.at > endedAt &&
    !isStampAgain(operation, effect, context) &&
    !isLateStamp(operation, effect, context)
  )
    return `had ended before (${end?.state ?? ""})`;
  const stamped = effect.call === "define" ? effect.operation : effect.stamp?.operation;
  if (stamped !== undefined && operationId !== undefined && stamped !== operationId)
    return "is not the one in the metadata";
  if (request.method === "CreateVm")
    return effect.call === "volume_delete" && hasRunOn(operation, effect, context)
      ? "started a guest that has written to it"
      : undefined;
  const isCut = request.method === "SuspendVm" || (request.method === "StopVm" && request.force === false);
  if (isCut && effect.call === "destroy" && !isForcedMeanwhile(effect, context))
    return "ends the guest only for a forced stop";
  const { timeline, starts } = context;
  if (request.method === "AttachDisk" || request.method === "DetachDisk") {
    if (effect.isOpen === true) return "must not delete a volume that a guest has open";
  } else if (isOnDisk.has(effect.call) && wasSeenRunning(effect, context))
    return "must not write under its guest";
  const life = lifeAt(timeline, effect.at);
  if (life !== undefined && !timeline.lives.some((one) => isSameVm(one, life) && existed(one, operation)))
    return "was requested for an earlier instance of this VM";
  if (request.method === "SuspendVm" && effect.isWhole === true) return "must not remove the saved memory";
  const isAboutRun = ofRun.has(effect.call);
  const run = isAboutRun ? runAt(timeline, effect.at) : undefined;
  const isMarked = run !== undefined && hasMarked(run, operation, effect, context);
  if (run?.by.by === "foreign" && isLaterRun(run, operation, effect, starts) && !isMarked)
    return "was requested before another client started the guest again";
  return undefined;
}

const ofRun: ReadonlySet<EffectCall> = new Set(["destroy", "shutdown", "reset", "save"]);

/**
 * The creation started its guest before. libvirt reports that until libvirt restarts after the guest's end.
 */
function hasRunOn({ from }: Accepted, effect: Effect, { history, timeline }: Context): boolean {
  const run = timeline.runs.find(({ by }) => by.by === "agent" && by.at > from && by.at < effect.at);
  if (run === undefined) return false;
  return !history.some(
    (event, at) => event.event === "fault" && at > run.to && at < effect.at && isOfDaemon(event),
  );
}

const isOnDisk: ReadonlySet<EffectCall> = new Set(["volume_upload", "volume_wipe", "volume_delete"]);
const isBeforeLook: ReadonlySet<EffectCall> = new Set(["destroy", "set_metadata", "volume_wipe"]);

/** A guest has run since an effect of the agent or longer; the agent checks for a running guest after the effect. */
function wasSeenRunning({ at }: Effect, { history, timeline }: Context): boolean {
  const run = runAt(timeline, at);
  if (run === undefined) return false;
  const msOf = (index: number): number => history[index]?.atMs ?? Infinity;
  return timeline.effects.some(
    ({ by, call, endAt }) =>
      by === "agent" && isBeforeLook.has(call) && endAt < at && msOf(endAt) >= msOf(run.by.endAt),
  );
}

/**
 * The agent lost the operation's end by a rollback. The domain's newest stamp is still the operation's: a second write changes
 * neither the guest nor a later recovery.
 */
function isStampAgain({ operationId, endedAt }: Accepted, effect: Effect, { rollbacks }: Context): boolean {
  const isOwn = effect.stamp !== undefined && effect.operation === operationId;
  return isOwn && rollbacks.some((rollback) => rollback > endedAt && rollback < effect.at);
}

/**
 * The stamp of a complete effect arrives soon after the end, which did not wait for it because its reply was lost. libvirt
 * still executes it. It must not replace another operation's record, nor reach another instance.
 */
function isLateStamp(operation: Accepted, effect: Effect, context: Context): boolean {
  const { history, timeline, starts, byKey } = context;
  const { operationId, from, endedAt } = operation;
  if (effect.stamp?.phase !== "complete" || effect.stamp.operation !== operationId) return false;
  const msOf = (index: number): number => history[index]?.atMs ?? Infinity;
  const isBetween = (at: number): boolean => at > from && at < effect.at;
  return (
    msOf(effect.at) - msOf(endedAt) < LATE_STAMP_WITHIN_MS &&
    lifeAt(timeline, endedAt) === lifeAt(timeline, effect.at) &&
    !starts.some((start) => start > endedAt && start < effect.at) &&
    ![...byKey.values()].some((other) => other !== operation && isBetween(other.from))
  );
}

/** A forced stop of the VM is open, or was open just before. */
function isForcedMeanwhile({ at }: Effect, { history, forced }: Context): boolean {
  const msOf = (index: number): number => history[index]?.atMs ?? Infinity;
  return forced.some(
    ({ from, endedAt }) => from < at && (endedAt > at || msOf(at) - msOf(endedAt) < CUT_WITHIN_MS),
  );
}

/** Its creation defined the domain again after another client removed it. */
const isSameVm = (one: Life, other: Life): boolean =>
  one === other || (one.instance !== undefined && one.instance === other.instance);

/** The instance existed at some time during the operation's request. */
function existed({ from, to }: Life, operation: Accepted): boolean {
  return from <= operation.askedTo && to >= operation.from;
}

/**
 * Another client started the guest after the operation's request, and the agent restarted since: it must check first. libvirt
 * has no lock between the check and the act, so a start during the same run of the agent proves nothing.
 */
function isLaterRun(run: Run, operation: Accepted, effect: Effect, starts: readonly number[]): boolean {
  if (run.from <= operation.askedTo) return false;
  return starts.some((start) => start > run.by.endAt && start < effect.at);
}

/**
 * The operation marked this run before the agent restarted. It ran after the start, while its caller still waited for its end:
 * it stops this run.
 */
function hasMarked(run: Run, { operationId }: Accepted, effect: Effect, context: Context): boolean {
  const restart = context.starts.find((start) => start > run.by.endAt) ?? Infinity;
  return context.timeline.effects.some(
    ({ at, changed, stamp, guestRun }) =>
      at > run.from &&
      at < restart &&
      changed &&
      guestRun === effect.guestRun &&
      stamp?.phase === "run" &&
      stamp.operation === operationId,
  );
}

function unexplained(
  effect: Effect,
  operations: readonly Accepted[],
  able: readonly Accepted[],
  { context, vm }: { context: Context; vm: string },
): Violation {
  const what = `${effect.call}${effect.volume === undefined ? "" : ` ${effect.volume}`} (effect ${effect.effect}) on VM ${vm}`;
  if (able.length > 0) {
    const names = able.map(nameOf).join(", ");
    return {
      rule: "operations of a VM neither overlap nor repeat",
      at: effect.at,
      vm,
      message: `${what} can only belong to ${names}, which ended before, had the same effect before, or did not create what this removes`,
    };
  }
  const reasons = operations.map(
    (operation) => `${nameOf(operation)} ${whyNot(operation, effect, context) ?? ""}`,
  );
  const why = reasons.length === 0 ? "no operation of this VM was accepted" : reasons.join("; ");
  return {
    rule: "every effect belongs to one operation",
    at: effect.at,
    vm,
    message: `${what} belongs to no accepted operation: ${why}`,
  };
}

const nameOf = ({ request, operationId }: Accepted): string =>
  `${request.method} ${request.requestId ?? ""} of ${request.caller}${operationId === undefined ? "" : ` (${operationId})`}`;
