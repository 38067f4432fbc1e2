import { SocleError } from "../../kernel/errors.ts";
import { requireReadWhole } from "../journal/refusals.ts";
import { waitsForPerson, type Operation } from "./operation.ts";

// Errors that refuse a request about an operation.

export function checkRequestId(requestId: string): void {
  if (/^[\x21-\x7e]{1,128}$/.test(requestId)) return;
  const must = "must be 1 to 128 printable ASCII characters";
  const fields = { request_id: `${must} without spaces` };
  throw new SocleError("invalid", "REQUEST_ID_INVALID", `the request id ${must}`, { details: { fields } });
}

/** `failure`: of the journal. Throws as requireReadWhole if the journal cannot show whether it exists. */
export function notFound(id: string, failure: SocleError | undefined): never {
  requireReadWhole(failure, `whether operation ${id} exists`);
  throw new SocleError(
    "not_found",
    "OPERATION_NOT_FOUND",
    `there is no operation ${id}; ended ones are kept for a time`,
  );
}

export const notOpen = (operation: Operation): SocleError =>
  new SocleError(
    "conflict",
    "OPERATION_ENDED",
    `operation ${operation.id} is ${operation.state} and needs no other end`,
  );

export const notCancellable = ({ id, state }: Operation): SocleError =>
  new SocleError("conflict", "NOT_CANCELLABLE", `operation ${id} cannot be cancelled: it is ${state}`);

/** The operation that must end before any other change of its VM. */
export const unsettled = (operation: Pick<Operation, "id" | "kind" | "state" | "error">): SocleError => {
  const { id, kind } = operation;
  const toDo = waitsForPerson(operation)
    ? `a person must decide it: socle operations show ${id} says how, and what is lost otherwise`
    : `the agent determines it as soon as it can: retry, or check (socle operations show ${id}) and settle it by hand ` +
      `(socle operations settle ${id} --as done|not-done)`;
  return new SocleError(
    "conflict",
    "OPERATION_UNSETTLED",
    `the outcome of operation ${id} (${kind}) of this VM is not known yet, and other changes of the VM wait for it; ${toDo}`,
    { details: { metadata: { operation_id: id, operation_kind: kind }, retryAfterMs: 5000 } },
  );
};

export const reused = (requestId: string, operationId: string): SocleError =>
  new SocleError(
    "conflict",
    "REQUEST_ID_REUSED",
    `request id ${requestId} was used for another request (operation ${operationId}); use a new id for a new request`,
    { details: { metadata: { operation_id: operationId } } },
  );

export const stopping = (): SocleError =>
  new SocleError("unavailable", "AGENT_STOPPING", "the agent is stopping; retry after its restart", {
    details: { retryAfterMs: 2000 },
  });

export const tooMany = (
  why: string,
  retryAfterMs: number,
  metadata: Readonly<Record<string, string>> = {},
): SocleError =>
  new SocleError("exhausted", "TOO_MANY_OPERATIONS", `${why}, which is the limit; try again later`, {
    details: { retryAfterMs: Math.max(1000, Math.ceil(retryAfterMs)), metadata },
  });
