import type { History, OperationRead, RequestAnswer, RequestBegin } from "./history.ts";

/** A call with its answer; positions are indexes in the history. */
export interface Call {
  readonly at: number;
  /** Infinity: no answer was recorded. */
  readonly answerAt: number;
  readonly request: RequestBegin;
  readonly answer: RequestAnswer | undefined;
}

/** A mutation that the agent accepted or may have accepted: all calls with its request id that were not refused. */
export interface Accepted {
  readonly key: string;
  readonly request: RequestBegin;
  /** Its first call that may have been accepted. */
  readonly from: number;
  /** The position of the last answer to these calls: the request concerns the VM between the two positions. */
  readonly askedTo: number;
  /** Undefined: no call was answered `ok`, and no read returned it. */
  operationId: string | undefined;
  /** The position at which its end was first seen. */
  endedAt: number;
  end: OperationRead | undefined;
}

export interface Requests {
  readonly calls: readonly Call[];
  readonly accepted: readonly Accepted[];
  /** Every reading of an operation, in order. */
  readonly sights: readonly Sight[];
}

export interface Sight {
  readonly at: number;
  readonly operation: OperationRead;
  /** Absent: seen by the watcher. */
  readonly call?: Call;
}

export const mutations: ReadonlySet<string> = new Set([
  "CreateVm",
  "StartVm",
  "StopVm",
  "RebootVm",
  "PauseVm",
  "ResumeVm",
  "DeleteVm",
  "SuspendVm",
  "DiscardSavedState",
  "UpdateVm",
  "AttachDisk",
  "DetachDisk",
  "AttachNic",
  "DetachNic",
  "UpdateNic",
  "ChangeMedia",
  "AttachPciDevice",
  "DetachPciDevice",
  "InjectNmi",
]);

export const isEnded = ({ state }: OperationRead): boolean =>
  state === "succeeded" || state === "failed" || state === "cancelled";

/** The key of an operation over a rollback, after which the same request may become another operation. */
export function requestsOf(history: History): Requests {
  const answers = new Map<number, { at: number; answer: RequestAnswer }>();
  history.forEach((event, at) => {
    if (event.event === "answer") answers.set(event.seq, { at, answer: event });
  });
  const calls: Call[] = [];
  history.forEach((event, at) => {
    if (event.event !== "request") return;
    const answered = answers.get(event.seq);
    calls.push({ at, answerAt: answered?.at ?? Infinity, request: event, answer: answered?.answer });
  });
  const sights: Sight[] = [];
  const callBySeq = new Map(calls.map((call) => [call.request.seq, call]));
  history.forEach((event, at) => {
    if (event.event === "operation") sights.push({ at, operation: event.operation });
    if (event.event !== "answer") return;
    const call = callBySeq.get(event.seq);
    for (const operation of event.operations ?? [])
      sights.push({ at, operation, ...(call === undefined ? {} : { call }) });
  });
  return { calls, accepted: acceptedOf(calls, sights, history), sights };
}

const isSame = (one: RequestBegin, other: RequestBegin): boolean =>
  one.caller === other.caller && one.requestId === other.requestId;

function acceptedOf(calls: readonly Call[], sights: readonly Sight[], history: History): Accepted[] {
  const rollbacks = forgettings(history);
  const byKey = new Map<string, Accepted>();
  for (const { at, answerAt, request, answer } of calls) {
    if (!mutations.has(request.method) || request.requestId === undefined) continue;
    if (answer?.outcome === "refused") continue;
    const past = rollbacks.filter((rollback) => rollback < at).length;
    const answered = answer?.operations?.[0]?.id;
    // A request that a rollback lost may become another operation; a kept one stays the same, also if its answer was lost.
    const kept =
      answered === undefined
        ? undefined
        : ([...byKey.values()].find(({ operationId }) => operationId === answered) ??
          (sights.some((sight) => sight.at < at && sight.operation.id === answered)
            ? [...byKey.values()].findLast(
                (one) => one.operationId === undefined && isSame(one.request, request),
              )
            : undefined));
    const key = kept?.key ?? `${request.caller} ${request.requestId} ${past}`;
    const before = byKey.get(key);
    byKey.set(key, {
      key,
      request: before?.request ?? request,
      from: before?.from ?? at,
      askedTo: answerAt === Infinity ? history.length : answerAt,
      operationId: answered ?? before?.operationId,
      endedAt: Infinity,
      end: undefined,
    });
  }
  const accepted = [...byKey.values()];
  for (const { at, operation } of sights) {
    const one =
      accepted.find(({ operationId }) => operationId === operation.id) ??
      accepted.findLast(
        ({ operationId, request, from }) =>
          operationId === undefined &&
          from < at &&
          request.requestId === operation.requestId &&
          request.caller === operation.caller,
      );
    if (one === undefined) continue;
    one.operationId ??= operation.id;
    if (one.end !== undefined || !isEnded(operation)) continue;
    one.end = operation;
    one.endedAt = at;
  }
  return accepted;
}

/** Faults that roll the agent's state back or remove it. */
export const isForgetting = (fault: string): boolean =>
  fault === "state_rolled_back" || fault === "state_lost";

/** Their positions in a history. */
export const forgettings = (history: History): number[] =>
  history.flatMap((event, at) => (event.event === "fault" && isForgetting(event.fault) ? [at] : []));
