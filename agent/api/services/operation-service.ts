import { invalidField, SocleError } from "../../kernel/errors.ts";
import type { Slice } from "../../kernel/concurrency/slice.ts";
import { isDone, type Operation } from "../../state/operations/operation.ts";
import { requireReadWhole } from "../../state/journal/refusals.ts";
import type { ListOperationsRequest__Output } from "../../gen/socle/v1/ListOperationsRequest.ts";
import type { ListOperationsResponse } from "../../gen/socle/v1/ListOperationsResponse.ts";
import type { Operation as ProtoOperation } from "../../gen/socle/v1/Operation.ts";
import type { OperationServiceHandlers } from "../../gen/socle/v1/OperationService.ts";
import { enumWords } from "../../contract/enum.ts";
import { operationToProto } from "../convert/operation.ts";
import { durationMs } from "../convert/time.ts";
import type { ServiceDependencies } from "./dependencies.ts";
import type { ErrorEncoder } from "../convert/errors.ts";
import type { Methods } from "./handler.ts";
import type { Caller } from "../auth/identity.ts";
import { forCaller } from "./tenancy.ts";
import { afterIdOf, convertPage, pageSize, pageToken } from "../limits/paging.ts";
import { defined } from "../../kernel/defined.ts";

const outcomes = enumWords("OUTCOME", ["done", "not done"]);

const OUTCOME_MISSING = "must be OUTCOME_DONE or OUTCOME_NOT_DONE: whether the operation's effect happened";

const defaultWaitMs = 30_000;
const maxWaitMs = 300_000;

export function operationService(
  dependencies: ServiceDependencies,
  errors: ErrorEncoder,
): Methods<OperationServiceHandlers> {
  const of = (caller: Caller): ServiceDependencies["operations"] =>
    forCaller(dependencies)(caller).operations;
  return {
    GetOperation: ({ operationId }, { caller }) =>
      operationToProto(of(caller).get(operationId), errors, caller),
    ListOperations: (request, context) =>
      listOperations(of(context.caller), request, {
        convert: (operation) => operationToProto(operation, errors, context.caller),
        slice: context.slice(),
      }),
    WaitOperation: async ({ operationId, timeout }, { caller, signal }) => {
      const timeoutMs = timeout === null ? defaultWaitMs : durationMs("timeout", timeout);
      const operation = await of(caller).wait(operationId, Math.min(timeoutMs, maxWaitMs), signal);
      return operationToProto(operation, errors, caller);
    },
    CancelOperation: ({ operationId }, { caller }) =>
      operationToProto(of(caller).cancel(operationId, caller.name), errors, caller),
    SettleOperation: async ({ operationId, outcome }, { caller }) => {
      const as = outcomes.fromProto("outcome", outcome);
      if (as === undefined) throw invalidField("OUTCOME_MISSING", "outcome", OUTCOME_MISSING);
      return operationToProto(await dependencies.vms.settle(operationId, as, caller.name), errors, caller);
    },
    WatchOperations: ({ operationId }, { caller, signal }) => {
      const convert: Convert = (operation) => operationToProto(operation, errors, caller);
      return operationId === ""
        ? watchAll(of(caller), convert, signal)
        : watchOne(of(caller), operationId, convert, signal);
    },
  };
}

type Convert = (operation: Operation) => ProtoOperation;

/** Newest first. */
async function listOperations(
  operations: ServiceDependencies["operations"],
  request: ListOperationsRequest__Output,
  { convert, slice }: { readonly convert: Convert; readonly slice: Slice },
): Promise<ListOperationsResponse> {
  requireReadWhole(operations.failure, "the list of operations");
  const { vmId, onlyRunning } = request;
  const query = { vmId, onlyRunning };
  const afterId = afterIdOf(request.pageToken, query);
  const size = pageSize(request.pageSize);
  const found = operations.list(
    defined({ onlyRunning, limit: size + 1, vmId: vmId === "" ? undefined : vmId, afterId }),
  );
  const page = await convertPage(found.slice(0, size), convert, slice);
  const last = found[page.length - 1];
  const nextPageToken = last === undefined || found.length === page.length ? "" : pageToken(last.id, query);
  return { operations: page, nextPageToken };
}

async function* watchAll(
  operations: ServiceDependencies["operations"],
  convert: Convert,
  signal: AbortSignal,
): AsyncGenerator<ProtoOperation, void, undefined> {
  for await (const change of operations.watch(signal)) {
    if (change.kind === "overflow") {
      const message =
        "operation changes arrived faster than they were read; list the operations, then watch again";
      throw new SocleError("out_of_range", "WATCH_OVERFLOW", message);
    }
    yield convert(change.value);
  }
}

async function* watchOne(
  operations: ServiceDependencies["operations"],
  id: string,
  convert: Convert,
  signal: AbortSignal,
): AsyncGenerator<ProtoOperation, void, undefined> {
  const changes = operations.watch(signal);
  let sent = operations.get(id);
  yield convert(sent);
  if (isDone(sent)) return;
  for await (const change of changes) {
    if (change.kind === "item" && change.value.id !== id) continue;
    // Records are immutable: a record that was sent already is the same object.
    const now = operations.get(id);
    if (now === sent) continue;
    sent = now;
    yield convert(sent);
    if (isDone(sent)) return;
  }
}
