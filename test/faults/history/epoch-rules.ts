import type { Violation } from "./checker.ts";
import type { History } from "./history.ts";
import { forgettings, mutations, type Call, type Requests } from "./requests.ts";

/** Rules about raises of the control epoch and about the fenced schedulers. */
export function epochRules(history: History, requests: Requests): Violation[] {
  return [...controlEpochIsEarned(history, requests), ...controlEpochHolds(history, requests)];
}

/** The contract's bound: proto/socle/v1/scheduler.proto, Welcome.control_epoch. */
const MOST_EPOCHS_AT_ONCE = 1_000_000;

/** Refusals of calls that did not raise the epoch; a call that raised it and is STALE was overtaken by a higher one. */
const raisingNothing: ReadonlySet<string> = new Set(["CONTROL_EPOCH_STALE", "CONTROL_EPOCH_TOO_FAR"]);

/**
 * Only a change by an unscoped scheduler raises the control epoch, only to the requested value, only by a bounded step, and
 * only with an entry in the audit log.
 */
function* controlEpochIsEarned(history: History, { calls }: Requests): Generator<Violation> {
  let before: number | undefined;
  let isOfPrevious = false;
  let isJudged = true;
  // Then libvirt's lease may restore an epoch whose audit entry the older copy lacks.
  const [forgotten = Infinity] = forgettings(history);
  for (const [at, event] of history.entries()) {
    // In the previous release every caller raises it, and the next agent has the last value.
    if (event.event === "agent_start") isOfPrevious = event.version === "previous";
    if (isOfPrevious) isJudged = false;
    if (event.event !== "control_epoch") continue;
    const { epoch, isAudited = true } = event;
    const from = before ?? 0;
    before = epoch;
    const isRise = isJudged && epoch > from;
    isJudged = !isOfPrevious;
    if (!isRise) continue;
    const asked = calls
      .filter((call) => mayHaveRaised(call, at))
      .map(({ request }) => request.controlEpoch ?? 0);
    if (reachedBySteps(from, asked, epoch) !== epoch)
      yield {
        rule: "only permitted changes raise the control epoch",
        at,
        message: `the control epoch rose from ${from} to ${epoch}, which no changes of unscoped schedulers requested in steps of at most ${MOST_EPOCHS_AT_ONCE}`,
      };
    if (!isAudited && at < forgotten)
      yield {
        rule: "each raise of the control epoch is audited",
        at,
        message: `the control epoch rose from ${from} to ${epoch}, without an entry in the audit log`,
      };
  }
}

const mayHaveRaised = ({ request, at, answerAt, answer }: Call, by: number): boolean =>
  at < by &&
  request.role === "scheduler" &&
  request.tenant === undefined &&
  mutations.has(request.method) &&
  (!raisingNothing.has(answer?.reason ?? "") || answerAt > by);

/** The maximum epoch up to `to` by the requested raises: there may be several raises between two readings. */
function reachedBySteps(from: number, asked: readonly number[], to: number): number {
  let reached = from;
  for (const epoch of asked.toSorted((one, other) => one - other))
    if (epoch > reached && epoch <= to && epoch - reached <= MOST_EPOCHS_AT_ONCE) reached = epoch;
  return reached;
}

/** The maximum outage of libvirt after its last recorded end. */
const LIBVIRT_AWAY_MS = 60_000;
const leaseTroubles: ReadonlySet<string> = new Set([
  "libvirt_down",
  "secrets_down",
  "secrets_refused",
  "answer_lost",
]);

/**
 * A change of a replaced scheduler is refused, also after a rollback of the state. libvirt then has the epoch, unless libvirt
 * was unavailable at the raise.
 */
function* controlEpochHolds(history: History, { calls }: Requests): Generator<Violation> {
  const changes = calls.filter(
    ({ request, answer }) =>
      request.role === "scheduler" && mutations.has(request.method) && answer?.outcome === "ok",
  );
  const couldNotBeKept = ({ at, answerAt }: Call): boolean =>
    history.some(
      (event, index) =>
        event.event === "fault" &&
        leaseTroubles.has(event.fault) &&
        index < answerAt &&
        event.atMs + LIBVIRT_AWAY_MS > (history[at]?.atMs ?? 0),
    );
  for (const { at, answerAt, request } of changes) {
    const { controlEpoch = 0, caller, method, vm } = request;
    const isForgotten = forgettings(history).some((one) => one < at);
    const later = changes.find(
      (other) =>
        other.answerAt < at &&
        other.request.tenant === undefined &&
        (other.request.controlEpoch ?? 0) > controlEpoch &&
        !(isForgotten && couldNotBeKept(other)),
    );
    if (later === undefined) continue;
    yield {
      rule: "a replaced scheduler changes nothing",
      at: answerAt,
      ...(vm === undefined ? {} : { vm }),
      message: `${method} of ${caller} with control epoch ${controlEpoch} is accepted after ${later.request.controlEpoch ?? 0}`,
    };
  }
}
