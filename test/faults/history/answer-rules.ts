import type { Violation } from "./checker.ts";
import type { History, OperationRead } from "./history.ts";
import {
  forgettings,
  isEnded,
  isForgetting,
  mutations,
  type Call,
  type Requests,
  type Sight,
} from "./requests.ts";
import type { StateSpan, VmTimeline } from "./timeline.ts";

/** Rules about the answers to callers, over the whole history. */
export function answerRules(
  history: History,
  requests: Requests,
  byVm: ReadonlyMap<string, VmTimeline>,
): Violation[] {
  return [
    ...refusedStaysRefused(history, requests),
    ...oneAnswerPerRequest(history, requests),
    ...acknowledgedStays(history, requests),
    ...readsGoForward(history, requests, byVm),
    ...epochsRise(history),
    ...tenantsAreApart(requests, byVm),
    ...placesAreHeld(history),
  ];
}

function* refusedStaysRefused(history: History, { accepted, sights }: Requests): Generator<Violation> {
  const shown = new Set<string>();
  // A copy of the state may hold the start of a request that was refused later: it must have no effect and no success.
  const [forgotten = Infinity] = forgettings(history);
  for (const { at, operation } of sights) {
    const { id, requestId, caller, vm } = operation;
    if (requestId === undefined || caller === undefined || shown.has(id)) continue;
    if (at > forgotten && operation.state !== "succeeded") continue;
    const isAccepted = accepted.some(
      ({ request, from }) => request.requestId === requestId && request.caller === caller && from < at,
    );
    if (isAccepted) continue;
    shown.add(id);
    yield {
      rule: "a refused request has no effect",
      at,
      vm,
      message: `operation ${id} (${operation.kind}) exists, but every call of ${caller} with request id ${requestId} was refused`,
    };
  }
}

/** In order; a call's reading counts from the call's start, since it may have been read then. */
function* oneAnswerPerRequest(history: History, { calls, sights }: Requests): Generator<Violation> {
  const forgotten = forgettings(history);
  const era = (at: number): number => forgotten.filter((one) => one < at).length;
  const idOf = new Map<string, string>();
  for (const { answerAt, at, request, answer } of calls) {
    if (!mutations.has(request.method) || answer?.outcome !== "ok") continue;
    const id = answer.operations?.[0]?.id;
    if (id === undefined || id === "" || request.requestId === undefined) continue;
    const key = `${request.caller} ${request.requestId} ${era(at)}`;
    const before = idOf.get(key);
    if (before !== undefined && before !== id)
      yield {
        rule: "a repeated request returns the same operation",
        at: answerAt,
        ...(request.vm === undefined ? {} : { vm: request.vm }),
        message: `request id ${request.requestId} of ${request.caller} was operation ${before}, and is ${id} now`,
      };
    idOf.set(key, before ?? id);
  }
  const ends = new Map<string, { at: number; operation: OperationRead }>();
  for (const sight of sights) {
    const { at, operation } = sight;
    const key = `${operation.id} ${era(at)}`;
    const known = ends.get(key);
    if (known !== undefined && begunAt(sight) > known.at && operation.state !== known.operation.state)
      yield {
        rule: "an outcome never changes",
        at,
        vm: operation.vm,
        message: `operation ${operation.id} had ended as ${known.operation.state}, and is ${operation.state} now`,
      };
    if (known === undefined && isEnded(operation)) ends.set(key, { at, operation });
  }
}

const begunAt = ({ at, call }: Sight): number => call?.at ?? at;

function* acknowledgedStays(history: History, { calls, accepted }: Requests): Generator<Violation> {
  const forgotten = forgettings(history);
  for (const call of calls) {
    const { request, answer, at } = call;
    const isOver = (askedTo: number): boolean =>
      askedTo < at && !forgotten.some((one) => one > askedTo && one < call.answerAt);
    const known = accepted.filter(({ operationId, askedTo }) => operationId !== undefined && isOver(askedTo));
    if (request.method === "GetOperation" && answer?.reason === "OPERATION_NOT_FOUND") {
      const lost = known.find(({ operationId }) => operationId === request.operation);
      const isTheirs = request.tenant === undefined || lost?.request.caller === request.caller;
      if (lost !== undefined && isTheirs) yield lostOperation(call, lost.operationId ?? "", lost.request.vm);
    }
    if (request.method !== "ListOperations" || request.tenant !== undefined) continue;
    if (answer?.outcome !== "ok" || answer.complete !== true) continue;
    const listed = new Set(answer.operations?.map(({ id }) => id));
    for (const { operationId = "", request: made } of known)
      if (!listed.has(operationId)) yield lostOperation(call, operationId, made.vm);
  }
}

const lostOperation = (call: Call, id: string, vm: string | undefined): Violation => ({
  rule: "acknowledged operations are durable",
  at: call.answerAt,
  ...(vm === undefined ? {} : { vm }),
  message: `operation ${id} was acknowledged, and ${call.request.method} of ${call.request.caller} does not know it`,
});

const comparable: ReadonlySet<string> = new Set(["stopped", "running", "paused"]);

/** Each caller's reads of a VM are monotonic: each shows the same state as the previous read, or a later one. */
function* readsGoForward(
  history: History,
  { calls }: Requests,
  byVm: ReadonlyMap<string, VmTimeline>,
): Generator<Violation> {
  // Observation times are on the wall clock, and an answer may hold an old one: after a clock step they cannot be compared.
  const isStep = (event: History[number]): boolean => event.event === "fault" && event.fault === "clock_step";
  const firstStep = history.findIndex(isStep);
  /** The earliest span of the newest read, by caller and VM. */
  const positions = new Map<string, number>();
  const observed = new Map<string, { at: number; ms: number }>();
  for (const { request, answer, answerAt, at } of calls) {
    for (const vm of answer?.vms ?? []) {
      const key = `${request.caller} ${vm.id}`;
      const before = observed.get(key);
      const isStepped = firstStep !== -1 && firstStep < answerAt;
      if (before !== undefined && before.at < at && !isStepped && vm.observedAtMs < before.ms)
        yield {
          rule: "reads are monotonic",
          at: answerAt,
          vm: vm.id,
          message: `${request.caller} reads VM ${vm.id} as of ${vm.observedAtMs}, after a read as of ${before.ms}`,
        };
      observed.set(key, { at: answerAt, ms: vm.observedAtMs });
      const spans = byVm.get(vm.id)?.states;
      if (spans === undefined || !comparable.has(vm.state)) continue;
      const from = positions.get(key) ?? 0;
      const found = spanFrom(spans, from, answerAt, vm.state);
      if (found !== undefined) positions.set(key, found);
      else
        yield {
          rule: "reads are monotonic",
          at: answerAt,
          vm: vm.id,
          message: `${request.caller} reads VM ${vm.id} as ${vm.state}, an older state than ${spans[from]?.state ?? ""}, which it read before`,
        };
    }
  }
}

function spanFrom(
  spans: readonly StateSpan[],
  from: number,
  before: number,
  state: string,
): number | undefined {
  for (let index = from; index < spans.length; index += 1) {
    const span = spans[index];
    if (span === undefined || span.from > before) return undefined;
    if (span.state === state) return index;
  }
  return undefined;
}

function* epochsRise(history: History): Generator<Violation> {
  let highest = -1;
  let started = -1;
  for (const [at, event] of history.entries()) {
    if (event.event === "fault" && isForgetting(event.fault)) [highest, started] = [-1, -1];
    const isStart = event.event === "agent_start" || event.event === "agent_ready";
    const epoch = isStart || event.event === "answer" ? event.agentEpoch : undefined;
    if (epoch === undefined) continue;
    const isLow = isStart ? epoch <= started : epoch < highest;
    if (isLow)
      yield {
        rule: "agent epochs increase",
        at,
        message: `the agent's epoch is ${epoch}, and was ${Math.max(highest, started)} before`,
      };
    highest = Math.max(highest, epoch);
    if (isStart) started = epoch;
  }
}

/** A caller of one tenant reads and changes only that tenant's VMs. */
function* tenantsAreApart(
  { calls, accepted }: Requests,
  byVm: ReadonlyMap<string, VmTimeline>,
): Generator<Violation> {
  const rule = "tenants are isolated";
  for (const { request, answer, answerAt } of calls) {
    const { tenant, caller } = request;
    if (tenant === undefined) continue;
    for (const vm of answer?.vms ?? [])
      if (vm.tenant !== tenant)
        yield {
          rule,
          at: answerAt,
          vm: vm.id,
          message: `${caller} of ${tenant} reads VM ${vm.id} of "${vm.tenant ?? ""}"`,
        };
    for (const operation of answer?.operations ?? []) {
      if (operation.caller === caller) continue;
      const lives = byVm.get(operation.vm)?.lives ?? [];
      const isOwn =
        lives.length === 0 || lives.some((life) => life.tenant === tenant || life.tenant === undefined);
      if (!isOwn)
        yield {
          rule,
          at: answerAt,
          vm: operation.vm,
          message: `${caller} of ${tenant} reads operation ${operation.id} of another's VM`,
        };
    }
  }
  for (const { request, operationId, from, askedTo } of accepted) {
    const { tenant, caller, method, vm } = request;
    if (tenant === undefined || operationId === undefined || vm === undefined) continue;
    if (method === "CreateVm") {
      if ((request.specTenant ?? tenant) !== tenant)
        yield {
          rule,
          at: askedTo,
          vm,
          message: `${caller} of ${tenant} creates a VM of ${request.specTenant ?? ""}`,
        };
      continue;
    }
    const lives = (byVm.get(vm)?.lives ?? []).filter((life) => life.from <= askedTo && life.goneBy >= from);
    if (lives.length > 0 && lives.every((life) => life.tenant !== undefined && life.tenant !== tenant))
      yield {
        rule,
        at: askedTo,
        vm,
        message: `${method} of ${caller} of ${tenant} is accepted for VM ${vm} of another tenant`,
      };
  }
}

/** A call holds its permit until its reply is delivered. */
function* placesAreHeld(history: History): Generator<Violation> {
  const delivered = new Set<number>();
  for (const [at, event] of history.entries()) {
    if (event.event === "delivered") delivered.add(event.seq);
    if (event.event === "place_left" && !delivered.has(event.seq))
      yield {
        rule: "a call holds its permit until its reply is delivered",
        at,
        message: `the permit of call ${event.seq} was released before its reply was delivered`,
      };
  }
}
