import { isDone, type Operation } from "../../state/operations/operation.ts";
import { subjectOf } from "../../state/operations/subject.ts";
import type { Operation as ProtoOperation } from "../../gen/socle/v1/Operation.ts";
import { enumWords } from "../../contract/enum.ts";
import { toTimestamp } from "./time.ts";
import type { ErrorEncoder, Recipient } from "./errors.ts";

const states = enumWords("STATE", ["running", "succeeded", "failed", "cancelled", "outcome_unknown"]);

/** As the caller may see it. */
export function operationToProto(
  operation: Operation,
  errors: ErrorEncoder,
  caller: Recipient,
): ProtoOperation {
  const { error, endedAtMs, transfer } = operation;
  const subject = { vmId: "", imageId: "", volume: "", ...subjectOf(operation) };
  return {
    operationId: operation.id,
    requestId: operation.requestId,
    kind: operation.kind,
    ...subject,
    instance: operation.instance ?? "",
    caller: operation.caller,
    state: states.toProto(operation.state),
    done: isDone(operation),
    steps: operation.steps.map((step) => ({
      name: step.name,
      startedAt: toTimestamp(step.startedAtMs),
      endedAt: step.endedAtMs === undefined ? null : toTimestamp(step.endedAtMs),
      outcome: step.outcome ?? "",
    })),
    progress: operation.progress,
    transfer: transfer === undefined ? null : { ...transfer, bytesPerSecond: transfer.bytesPerSecond ?? 0 },
    error: error === undefined ? null : errors.operationError({ ...operation, error }, caller),
    createdAt: toTimestamp(operation.createdAtMs),
    endedAt: endedAtMs === undefined ? null : toTimestamp(endedAtMs),
    result: errors.operationResult(operation.result, caller),
    person: operation.behalf?.person ?? "",
    ticket: operation.behalf?.ticket ?? "",
    breakGlass: operation.behalf?.breakGlass ?? "",
    cancelledBy: operation.cancelledBy ?? "",
    endDecided: operation.decided !== undefined && !isDone(operation),
  };
}
