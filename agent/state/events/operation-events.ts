import type { Service } from "../../kernel/lifecycle/service.ts";
import type { EventLog } from "./event-log.ts";
import { isDone } from "../operations/operation.ts";
import type { Operations } from "../operations/operations.ts";
import { subjectOf } from "../operations/subject.ts";
import { defined } from "../../kernel/defined.ts";

/** Publishes the end of every operation in the event log. */
export const operationEvents = (operations: Operations, events: EventLog): Service => ({
  name: "operation-events",
  async run(signal, ready) {
    const changes = operations.watch(signal);
    ready();
    for await (const change of changes) {
      if (change.kind === "overflow") {
        events.append({ kind: "resync", reason: "OPERATIONS_OVERFLOW" });
      } else if (isDone(change.value)) {
        const { id, kind, state, error, cancelledBy } = change.value;
        const { vmId, imageId, volume } = subjectOf(change.value);
        const details = defined<Record<string, string>>({
          operation: id,
          operation_kind: kind,
          state,
          error: error?.reason,
          cancelled_by: cancelledBy,
          image: imageId,
          volume,
        });
        events.append(defined({ kind: "operation_ended" as const, vmId, details }));
      }
    }
  },
});
