import type { Violation } from "./checker.ts";
import type { History } from "./history.ts";
import { forgettings, mutations, type Call, type Requests } from "./requests.ts";

/** Who raises the control epoch, how far, and what that fences. */
export function epochRules(history: History, requests: Requests): Violation[] {
  return [...controlEpochIsEarned(history, requests), ...controlEpochHolds(history, requests)];
}

/** The contract's number: proto/socle/v1/scheduler.proto, Welcome.control_epoch. */
const MOST_EPOCHS_AT_ONCE = 1_000_000;

/** Refusals by which a call raised nothing; one that is STALE after it raised the epoch was overtaken by a higher one. */
const raisingNothing: ReadonlySet<string> = new Set(["CONTROL_EPOCH_STALE", "CONTROL_EPOCH_TOO_FAR"]);

/**
 * Only a change by an unscoped scheduler raises the control epoch, only to what the scheduler said, only so far at once, and
 * only with an entry in the audit log.
 */
function* controlEpochIsEarned(history: History, { calls }: Requests): Generator<Violation> {
  let before: number | undefined;
  let isOfPrevious = false;
  let isJudged = true;
  // Then libvirt's lease may give an older copy an epoch back, whose audit entry the copy lacks.
  const [forgotten = Infinity] = forgettings(history);
  for (const [at, event] of history.entries()) {
    // In the previous release anybody raises it, and the next agent has what was raised last.
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
        rule: "the control epoch is raised by those who may",
        at,
        message: `the control epoch rose from ${from} to ${epoch}, which no changes of unscoped schedulers asked for in steps of at most ${MOST_EPOCHS_AT_ONCE}`,
      };
    if (!isAudited && at < forgotten)
      yield {
        rule: "each raise of the control epoch is audited",
        at,
        message: `the control epoch rose from ${from} to ${epoch}, and the audit log has no entry of it`,
      };
  }
}

const mayHaveRaised = ({ request, at, answerAt, answer }: Call, by: number): boolean =>
  at < by &&
  request.role === "scheduler" &&
  request.tenant === undefined &&
  mutations.has(request.method) &&
  (!raisingNothing.has(answer?.reason ?? "") || answerAt > by);

/** How far up to `to` the epoch may have come by those asked for: between two looks there may be several raises. */
function reachedBySteps(from: number, asked: readonly number[], to: number): number {
  let reached = from;
  for (const epoch of asked.toSorted((one, other) => one - other))
    if (epoch > reached && epoch <= to && epoch - reached <= MOST_EPOCHS_AT_ONCE) reached = epoch;
  return reached;
}

/** So long libvirt may stay away after it was last recorded to go. */
const LIBVIRT_AWAY_MS = 60_000;
const leaseTroubles: ReadonlySet<string> = new Set([
  "libvirt_down",
  "secrets_down",
  "secrets_refused",
  "answer_lost",
]);

/**
 * A change of a scheduler that was replaced is refused, also once an older copy of the state is in its place. libvirt has the
 * epoch then, unless it could not be asked when that rose.
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
      rule: "a replaced scheduler commands nothing",
      at: answerAt,
      ...(vm === undefined ? {} : { vm }),
      message: `${method} of ${caller} with control epoch ${controlEpoch} is taken on, and ${later.request.controlEpoch ?? 0} had been before`,
    };
  }
}
