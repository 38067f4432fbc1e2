import type { EffectCall, History } from "./history.ts";
import { isForgetting, type Accepted } from "./requests.ts";
import { isOfDaemon, lifeAt, runAt, type Effect, type Life, type Run, type VmTimeline } from "./timeline.ts";
import type { Violation } from "./checker.ts";

const callsOf: Readonly<Record<string, ReadonlySet<EffectCall>>> = {
  CreateVm: new Set<EffectCall>([
    "volume_create",
    "secret_define",
    "define",
    "set_metadata",
    "start",
    // What it takes back.
    "destroy",
    "undefine",
    "volume_delete",
    "secret_undefine",
  ]),
  StartVm: new Set<EffectCall>(["set_metadata", "secret_define", "start"]),
  StopVm: new Set<EffectCall>(["set_metadata", "shutdown", "destroy"]),
  RebootVm: new Set<EffectCall>(["set_metadata", "reboot", "reset"]),
  PauseVm: new Set<EffectCall>(["set_metadata", "suspend"]),
  ResumeVm: new Set<EffectCall>(["set_metadata", "resume"]),
  DeleteVm: new Set<EffectCall>([
    "set_metadata",
    "destroy",
    "volume_upload",
    "volume_wipe",
    "volume_delete",
    "undefine",
    "secret_undefine",
  ]),
};

/** Effects that an operation has once. Others ask the guest, or write the same again. */
const onceOnly: ReadonlySet<EffectCall> = new Set([
  "define",
  "undefine",
  "start",
  "destroy",
  "reboot",
  "reset",
  "suspend",
  "resume",
  "volume_create",
  "volume_delete",
]);

/** A forced stop that was cancelled may have cut another one short just before. */
const CUT_WITHIN_MS = 5000;
/** libvirt has what was sent in its queue still when the connection is lost. */
const LATE_STAMP_WITHIN_MS = 5000;

/** The facts of a history that decide which operation an effect may belong to. */
interface Context {
  readonly history: History;
  /** Of this VM. */
  readonly byKey: ReadonlyMap<string, Accepted>;
  /** Stops that may pull the plug. */
  readonly forced: readonly Accepted[];
  readonly timeline: VmTimeline;
  readonly starts: readonly number[];
  /** Where the agent's state was rolled back or lost. */
  readonly rollbacks: readonly number[];
}

/** What a way to explain the effects so far has come to: the operation whose turn it is, and those that had theirs. */
interface Way {
  readonly current: Accepted | undefined;
  /** In the order of their turns. */
  readonly over: ReadonlySet<string>;
  readonly done: ReadonlySet<string>;
}

/**
 * Explains every effect on one VM by one accepted operation: of the right method, life and run, within the operation's
 * time, one operation after the other, nothing twice. Returns the first effect that no explanation covers.
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
      // What somebody else undid may be done again.
      const undone = undoneBy[effect.call];
      if (undone !== undefined && effect.changed)
        ways = ways.map((way) => (hasStopped(way) ? way : without(way, undone)));
      continue;
    }
    // An attempt that changes nothing does no harm: libvirt refuses it, as it refuses one by mistake.
    if (effect.outcome !== "ok" && !effect.changed) continue;
    const able = operations.filter((operation) => whyNot(operation, effect, context) === undefined);
    const next = new Map<string, Way>();
    for (const way of ways)
      for (const operation of able) {
        // It changes nothing of whose turn it is.
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

/** A stop ends the run that it was asked to end, and no later one. */
const hasStopped = ({ current, done }: Way): boolean =>
  current?.request.method === "StopVm" && done.has("destroy ");

/** Effects are in the order of their begins: what somebody else undid while the call lasted may be done again by it. */
function undoneWithin(way: Way, { call, at, endAt }: Effect, { effects }: VmTimeline): Way {
  const isUndone = effects.some(
    (other) =>
      other.by === "foreign" &&
      other.changed &&
      other.at > at &&
      other.at < endAt &&
      undoneBy[other.call] === call,
  );
  return isUndone ? without(way, call) : way;
}

const undoneBy: Partial<Record<EffectCall, EffectCall>> = {
  undefine: "define",
  destroy: "start",
  guest_stopped: "start",
  volume_delete: "volume_create",
  start: "destroy",
  resume: "suspend",
  suspend: "resume",
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
  if (operation.request.method === "CreateVm" && effect.changed) {
    // It takes back what it made, and nothing else.
    const made = { volume_delete: "volume_create", undefine: "define" }[effect.call as string];
    if (made !== undefined && !before.has(`${made} ${effect.volume ?? ""}`)) return undefined;
  }
  if (!isOnce) return { current: operation, over, done: before };
  const done = new Set([...before, thing]);
  const undone = undoneBy[effect.call];
  if (undone !== undefined && isTakenBack(operation, effect)) {
    // What was made and taken back may be made anew by the same operation.
    done.delete(`${undone} ${effect.volume ?? ""}`);
    done.delete(thing);
  }
  return { current: operation, over, done };
}

/** The operation may have had an earlier turn as well: its last one counts. */
function withLast(over: ReadonlySet<string>, key: string): ReadonlySet<string> {
  const turns = new Set(over);
  turns.delete(key);
  return turns.add(key);
}

/**
 * After a rollback the agent goes on with the operation, although others had their turns since. It cannot know of them:
 * their marks went with the runs that they marked. No end of any of them was shown before the rollback.
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

/** The operation has marked runs of the guest that are over, and nothing else. */
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

const isTakenBack = ({ request }: Accepted, { call }: Effect): boolean =>
  call === "volume_delete" || (request.method === "CreateVm" && (call === "undefine" || call === "destroy"));

function without(way: Way, call: EffectCall): Way {
  return { ...way, done: new Set([...way.done].filter((thing) => !thing.startsWith(`${call} `))) };
}

const keyOf = ({ current, over, done }: Way): string =>
  `${current?.key ?? ""}|${[...over].sort().join()}|${[...done].sort().join()}`;

/** Why the effect is not this operation's; undefined: it may be. */
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
  const isPatient = request.method === "StopVm" && request.force === false;
  if (isPatient && effect.call === "destroy" && !isForcedMeanwhile(effect, context))
    return "is a stop without force";
  const { timeline, starts } = context;
  if (isOnDisk.has(effect.call) && wasSeenRunning(effect, context)) return "must not write under its guest";
  const life = lifeAt(timeline, effect.at);
  if (life !== undefined && !timeline.lives.some((one) => isSameVm(one, life) && existed(one, operation)))
    return "was asked of an earlier instance of this VM";
  const isAboutRun = effect.call === "destroy" || effect.call === "shutdown" || effect.call === "reset";
  const run = isAboutRun ? runAt(timeline, effect.at) : undefined;
  const isMarked = run !== undefined && hasMarked(run, operation, effect, context);
  if (run?.by.by === "foreign" && isLaterRun(run, operation, effect, starts) && !isMarked)
    return "was asked before the guest was started again by somebody else";
  return undefined;
}

/**
 * The creation started its guest before. libvirt says so, until it is itself started again after the guest's end.
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

/** A guest runs since an effect of the agent's, or longer, after which the agent looks whether one does. */
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
 * A rollback made the agent forget the operation's end. The domain's newest stamp is still its own: writing it again
 * changes neither the guest nor what a later recovery decides.
 */
function isStampAgain({ operationId, endedAt }: Accepted, effect: Effect, { rollbacks }: Context): boolean {
  const isOwn = effect.stamp !== undefined && effect.operation === operationId;
  return isOwn && rollbacks.some((rollback) => rollback > endedAt && rollback < effect.at);
}

/**
 * The stamp of a whole effect comes soon after the end, which did not wait for it because its answer was lost: libvirt carries
 * it out all the same. It must not replace the record of another operation, nor reach another instance.
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

/** A forced stop of the VM is open, or was just before. */
function isForcedMeanwhile({ at }: Effect, { history, forced }: Context): boolean {
  const msOf = (index: number): number => history[index]?.atMs ?? Infinity;
  return forced.some(
    ({ from, endedAt }) => from < at && (endedAt > at || msOf(at) - msOf(endedAt) < CUT_WITHIN_MS),
  );
}

/** Its creation defined it again, after somebody else had removed it. */
const isSameVm = (one: Life, other: Life): boolean =>
  one === other || (one.instance !== undefined && one.instance === other.instance);

/** The life lasted at some time while the operation was asked for. */
function existed({ from, to }: Life, operation: Accepted): boolean {
  return from <= operation.askedTo && to >= operation.from;
}

/**
 * Somebody else started the guest after the operation was asked for, and the agent was started since: it must look
 * first. Between its look and its act libvirt offers no lock, so a start during the same run of the agent is no proof.
 */
function isLaterRun(run: Run, operation: Accepted, effect: Effect, starts: readonly number[]): boolean {
  if (run.from <= operation.askedTo) return false;
  return starts.some((start) => start > run.by.endAt && start < effect.at);
}

/**
 * The operation marked this run before the agent was started again. Its turn came after the start, while its caller still
 * waited for its end: the run is the one that it stops.
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
      rule: "one operation at a time, each once",
      at: effect.at,
      vm,
      message: `${what} can only belong to ${names}, which had its turn already, did the same before, or did not make what this removes`,
    };
  }
  const reasons = operations.map(
    (operation) => `${nameOf(operation)} ${whyNot(operation, effect, context) ?? ""}`,
  );
  const why = reasons.length === 0 ? "no operation of this VM was accepted" : reasons.join("; ");
  return {
    rule: "every effect has its operation",
    at: effect.at,
    vm,
    message: `${what} belongs to no accepted operation: ${why}`,
  };
}

const nameOf = ({ request, operationId }: Accepted): string =>
  `${request.method} ${request.requestId ?? ""} of ${request.caller}${operationId === undefined ? "" : ` (${operationId})`}`;
