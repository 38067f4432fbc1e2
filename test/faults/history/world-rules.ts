import type { Violation } from "./checker.ts";
import type { History, WorldSeen } from "./history.ts";
import { isForgetting, type Accepted, type Requests } from "./requests.ts";
import { lifeAt, type Effect, type StateSpan, type VmTimeline } from "./timeline.ts";

/** Rules that compare libvirt's objects with the outcomes of operations. */
export function worldRules(
  history: History,
  requests: Requests,
  byVm: ReadonlyMap<string, VmTimeline>,
): Violation[] {
  return [
    ...endsAreTrue(history, requests, byVm),
    ...savesAreTrue(history, requests, byVm),
    ...etagsHold(history, requests, byVm),
    ...nothingIsLeft(history, requests, byVm),
    ...quietReadsAreTrue(history, requests),
    ...devicesAgree(history, requests),
  ];
}

const wantedStates: Readonly<Record<string, readonly StateSpan["state"][]>> = {
  CreateVm: ["stopped", "running", "paused"],
  StartVm: ["running", "paused"],
  StopVm: ["stopped", "absent"],
  PauseVm: ["paused"],
  ResumeVm: ["running"],
  DeleteVm: ["absent"],
  SuspendVm: ["stopped"],
};

/**
 * During a successful operation the VM was in the operation's target state. A failed creation leaves no domain, and a failed
 * deletion leaves the domain.
 */
function* endsAreTrue(
  history: History,
  { accepted }: Requests,
  byVm: ReadonlyMap<string, VmTimeline>,
): Generator<Violation> {
  const isForgotten = history.some((event) => event.event === "fault" && isForgetting(event.fault));
  for (const operation of accepted) {
    const { request, from, endedAt, end, operationId } = operation;
    const { method, vm = "" } = request;
    const wanted = wantedStates[method];
    const timeline = byVm.get(vm);
    const name = `${method} ${operationId ?? ""} of ${request.caller}`;
    if (end?.state === "succeeded" && wanted !== undefined) {
      const spans = timeline?.states ?? [{ from: 0, state: "absent" }];
      if (!spansBetween(spans, from, endedAt).some(({ state }) => wanted.includes(state)))
        yield {
          rule: "an outcome is true",
          at: endedAt,
          vm,
          message: `${name} succeeded, but VM ${vm} was never ${wanted.join(" or ")} meanwhile`,
        };
    }
    if ((end?.state === "failed" || end?.state === "cancelled") && method === "CreateVm" && !isForgotten) {
      const life = timeline === undefined ? undefined : lifeAt(timeline, endedAt);
      // The stamp names the operation if the end was seen only after another one began.
      const isOthers = life?.by.operation !== undefined && life.by.operation !== operationId;
      const isNew = life !== undefined && life.from > from && life.to > endedAt;
      if (isNew && life.by.by === "agent" && !isOthers)
        yield {
          rule: "a failed creation leaves nothing",
          at: endedAt,
          vm,
          message: `${name} is ${end.state}, but its domain ${vm} exists`,
        };
    }
    if ((end?.state === "failed" || end?.state === "cancelled") && method === "DeleteVm" && !isForgotten) {
      const others = accepted.filter(
        (one) => one !== operation && one.request.vm === vm && one.from < endedAt && one.endedAt > from,
      );
      const within = (timeline?.effects ?? []).filter(
        ({ by, at }) => by === "agent" && at > from && at < endedAt,
      );
      const done = within.find(({ changed, call }) => changed && deleting.has(call));
      if (end.state === "cancelled" && done !== undefined && others.length === 0)
        yield {
          rule: "a cancelled deletion has no effect",
          at: endedAt,
          vm,
          message: `${name} is cancelled, after ${done.call} of VM ${vm}`,
        };
      const gone = within.find((effect) => timeline !== undefined && hasRemoved(effect, timeline));
      const isUnclear = others.some((one) => mayRemove(one, vm));
      if (gone !== undefined && !isUnclear)
        yield {
          rule: "a failed deletion leaves the VM",
          at: endedAt,
          vm,
          message: `${name} is ${end.state}, but its domain ${vm} is removed`,
        };
    }
  }
}

/**
 * A suspension succeeds only if the VM's memory was saved, and does not fail if it saved it. After a discard, no memory was saved
 * for a moment.
 */
function* savesAreTrue(
  history: History,
  { accepted }: Requests,
  byVm: ReadonlyMap<string, VmTimeline>,
): Generator<Violation> {
  const isForgotten = history.some((event) => event.event === "fault" && isForgetting(event.fault));
  for (const operation of accepted) {
    const { request, endedAt, end, operationId } = operation;
    const { method, vm = "" } = request;
    const timeline = byVm.get(vm);
    if (end === undefined || timeline === undefined) continue;
    const problem =
      end.state === "succeeded"
        ? savesContradict(operation, timeline)
        : method === "SuspendVm" && !isForgotten && hasSaved(operation, timeline)
          ? `is ${end.state}, but it saved the memory`
          : undefined;
    if (problem !== undefined)
      yield {
        rule: "an outcome is true",
        at: endedAt,
        vm,
        message: `${method} ${operationId ?? ""} of ${request.caller} for VM ${vm} ${problem}`,
      };
  }
}

function savesContradict({ request, from, endedAt }: Accepted, { saves }: VmTimeline): string | undefined {
  const there = saves.filter((save) => save.from <= endedAt && save.to >= from);
  if (request.method === "SuspendVm" && there.length === 0) return "succeeded, but its memory was not saved";
  if (request.method === "DiscardSavedState" && there.some((save) => save.from < from && save.to > endedAt))
    return "succeeded, but its saved memory was there throughout";
  return undefined;
}

/** The memory was saved under this suspension's stamp, and no other client acted meanwhile. */
function hasSaved({ from, endedAt, operationId }: Accepted, { saves, effects }: VmTimeline): boolean {
  const stampAt = (at: number): string | undefined =>
    effects.findLast(({ stamp, changed, at: stampedAt }) => stamp !== undefined && changed && stampedAt < at)
      ?.stamp?.operation;
  const isOthers = effects.some(
    ({ by, at, changed }) => by === "foreign" && changed && at > from && at < endedAt,
  );
  return (
    !isOthers && saves.some(({ by }) => by.at > from && by.endAt < endedAt && stampAt(by.at) === operationId)
  );
}

/** The agent's effect ended the instance: no guest ran on without a definition. */
const hasRemoved = ({ by, call, at }: Effect, { lives }: VmTimeline): boolean =>
  by === "agent" && call === "undefine" && lives.some(({ to }) => to === at);

const mayRemove = ({ request, operationId }: Accepted, vm: string): boolean =>
  request.vm === vm &&
  operationId !== undefined &&
  (request.method === "DeleteVm" || request.method === "CreateVm");

function spansBetween(spans: readonly StateSpan[], from: number, to: number): StateSpan[] {
  return spans.filter((span, index) => span.from <= to && (spans[index + 1]?.from ?? Infinity) >= from);
}

/** A delete with an etag has no effect after another client's change of the VM, if the agent restarted since. */
function* etagsHold(
  history: History,
  { accepted, calls }: Requests,
  byVm: ReadonlyMap<string, VmTimeline>,
): Generator<Violation> {
  const starts = history.flatMap((event, at) => (event.event === "agent_start" ? [at] : []));
  for (const { request, from, operationId } of accepted) {
    const { etag, vm = "" } = request;
    if (etag === undefined) continue;
    const readAt = calls.findLast(
      ({ answerAt, answer }) =>
        answerAt < from && answer?.vms?.some((read) => read.id === vm && read.etag === etag),
    )?.at;
    if (readAt === undefined) continue;
    const effects = byVm.get(vm)?.effects ?? [];
    const first = effects.find(
      // Its stamp precedes its other effects; afterwards it may change the state itself. If libvirt refuses the mark, the agent
      // records the run's number in its own journal instead, which no history shows.
      // A destroy with a lost reply may have ended the guest.
      ({ by, at, changed, outcome, call, stamp }) =>
        by === "agent" &&
        at > from &&
        ((stamp !== undefined && stamp.operation === operationId && (changed || stamp.phase === "run")) ||
          (changed ? deleting.has(call) : call === "destroy" && outcome === "lost")),
    );
    if (first === undefined || first.at > firstEnd(accepted, request)) continue;
    const change = effects.find(
      (effect) =>
        effect.by === "foreign" &&
        effect.changed &&
        effect.at > readAt &&
        starts.some((start) => start > effect.endAt && start < first.at),
    );
    if (change !== undefined && !isOthers(accepted, request, first.at))
      yield {
        rule: "an etag is enforced",
        at: first.at,
        vm,
        message: `DeleteVm ${request.requestId ?? ""} with an etag takes effect on VM ${vm}, which another client's ${change.call} changed since that etag was read`,
      };
  }
}

const deleting: ReadonlySet<string> = new Set(["destroy", "volume_delete", "undefine"]);

const firstEnd = (accepted: readonly Accepted[], request: Accepted["request"]): number =>
  accepted.find((one) => one.request === request)?.endedAt ?? Infinity;

/** Another running operation on the VM may have the effect. */
const isOthers = (accepted: readonly Accepted[], request: Accepted["request"], at: number): boolean =>
  accepted.some(
    (one) => one.request !== request && one.request.vm === request.vm && one.from < at && one.endedAt > at,
  );

const idInName = /socle-([0-9a-f-]{36})-/;

/** At rest, every operation has ended, and a deleted VM has no volumes. */
function* nothingIsLeft(
  history: History,
  { accepted }: Requests,
  byVm: ReadonlyMap<string, VmTimeline>,
): Generator<Violation> {
  const quiet = quietWorld(history);
  if (quiet === undefined) return;
  const { at, world } = quiet;
  const forgotten = history.findLastIndex((event) => event.event === "fault" && isForgetting(event.fault));
  for (const { operationId, endedAt, request, from } of accepted)
    if (operationId !== undefined && operationId !== "" && endedAt === Infinity && from > forgotten)
      yield {
        rule: "every operation ends",
        at,
        ...(request.vm === undefined ? {} : { vm: request.vm }),
        message: `${request.method} ${operationId} of ${request.caller} has no end at rest`,
      };
  const isForgotten = history.some((event) => event.event === "fault" && isForgetting(event.fault));
  if (isForgotten) return;
  const there = new Set(world.domains.map(({ vm }) => vm));
  for (const volume of world.volumes) {
    const vm = idInName.exec(volume)?.[1];
    if (vm === undefined || there.has(vm)) continue;
    const isKept = accepted.some(({ request }) => request.vm === vm && request.keepDisks === true);
    const isForeign = byVm
      .get(vm)
      ?.effects.some(({ by, call }) => by === "foreign" && (call === "undefine" || call === "volume_create"));
    if (!isKept && isForeign !== true)
      yield {
        rule: "a deleted VM leaves nothing",
        at,
        vm,
        message: `volume ${volume} exists without its VM ${vm}`,
      };
  }
}

/** At rest, the last complete list equals libvirt's domains. */
function* quietReadsAreTrue(history: History, { calls }: Requests): Generator<Violation> {
  const quiet = quietWorld(history);
  if (quiet === undefined) return;
  const { at, world } = quiet;
  const last = calls.findLast(
    ({ request, answer, answerAt }) =>
      answerAt < at &&
      request.method === "ListVms" &&
      request.tenant === undefined &&
      answer?.complete === true,
  );
  if (last?.answer === undefined) return;
  const read = new Map(last.answer.vms?.map((vm) => [vm.id, vm.state]));
  const rule = "reads are true at rest";
  for (const { vm, state } of world.domains) {
    const seen = read.get(vm);
    if (seen !== state)
      yield {
        rule,
        at: last.answerAt,
        vm,
        message: `VM ${vm} is read as ${seen ?? "absent"}, and libvirt has it ${state}`,
      };
    read.delete(vm);
  }
  for (const [vm, state] of read)
    yield {
      rule,
      at: last.answerAt,
      vm,
      message: `VM ${vm} is read as ${state}, and libvirt does not have it`,
    };
}

/** Operations that end half done say so; then, and after another client's change, the places may disagree. */
function* devicesAgree(history: History, { accepted }: Requests): Generator<Violation> {
  const quiet = quietWorld(history);
  const isForgotten = history.some((event) => event.event === "fault" && isForgetting(event.fault));
  if (quiet === undefined || isForgotten) return;
  const { at, world } = quiet;
  for (const { vm, devices } of world.domains) {
    if (devices === undefined) continue;
    const changes = accepted.filter(({ request }) => request.vm === vm && ofDevices.has(request.method));
    if (changes.some(({ end }) => end !== undefined && end.state !== "succeeded")) continue;
    const { spec, definition, guest = definition } = devices;
    if (spec.join() === definition.join() && definition.join() === guest.join()) continue;
    yield {
      rule: "spec, definition and guest have the same devices at rest",
      at,
      vm,
      message: `VM ${vm} has ${spec.join()} in its spec, ${definition.join()} in its definition, ${guest.join()} in its guest`,
    };
  }
}

const ofDevices: ReadonlySet<string> = new Set([
  "AttachDisk",
  "DetachDisk",
  "AttachNic",
  "DetachNic",
  "ChangeMedia",
]);

function quietWorld(history: History): { at: number; world: WorldSeen } | undefined {
  const at = history.findLastIndex((event) => event.event === "world" && event.quiet);
  const world = history[at];
  return world?.event === "world" ? { at, world } : undefined;
}
