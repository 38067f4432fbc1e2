import { SocleError, type ErrorKind } from "../kernel/errors.ts";
import type { Status__Output } from "../gen/google/rpc/Status.ts";
import type { Contract } from "../contract/load.ts";
import { defined } from "../kernel/defined.ts";

/** By gRPC status code; the others are internal. */
const kinds: ReadonlyMap<number, ErrorKind> = new Map([
  [1, "cancelled"],
  [2, "outcome_unknown"],
  [3, "invalid"],
  [4, "timeout"],
  [5, "not_found"],
  [6, "already_exists"],
  [7, "denied"],
  [8, "exhausted"],
  [9, "conflict"],
  [10, "conflict"],
  [11, "out_of_range"],
  [12, "unsupported"],
  [14, "unavailable"],
  [16, "unauthenticated"],
]);

/** The parts of a gRPC client's ServiceError that are used. */
interface RpcError extends Error {
  readonly code: number;
  readonly details: string;
  readonly metadata?: { get(key: string): (string | Buffer)[] };
}

export const isRpcError = (thrown: unknown): thrown is RpcError =>
  thrown instanceof Error && "code" in thrown && typeof thrown.code === "number" && "details" in thrown;

/** A failed call with the agent's details: its reason, the invalid fields, the time to retry. */
export function fromRpcError(contract: Contract, error: RpcError): SocleError {
  const encoded = error.metadata?.get("grpc-status-details-bin")[0];
  if (encoded instanceof Buffer) {
    try {
      return fromStatus(contract, contract.status.deserialize(encoded), error);
    } catch {
      // Details that cannot be read are no reason to hide the status itself.
    }
  }
  return fromStatus(contract, { code: error.code, message: error.details, details: [] }, error);
}

/** The same for the error of a failed operation. */
export function fromStatus(contract: Contract, status: Status__Output, cause?: unknown): SocleError {
  let reason = status.code === 12 ? "UNIMPLEMENTED" : `GRPC_${status.code}`;
  let metadata: Readonly<Record<string, string>> = {};
  const fields: Record<string, string> = {};
  let retryAfterMs: number | undefined;
  for (const { type_url: type, value } of status.details) {
    if (type.endsWith("/google.rpc.ErrorInfo")) {
      ({ reason, metadata } = contract.errorInfo.deserialize(value));
    } else if (type.endsWith("/google.rpc.BadRequest")) {
      for (const violation of contract.badRequest.deserialize(value).fieldViolations) {
        fields[violation.field] = violation.description;
      }
    } else if (type.endsWith("/google.rpc.RetryInfo")) {
      const delay = contract.retryInfo.deserialize(value).retryDelay;
      if (delay !== null) retryAfterMs = delay.seconds * 1000 + delay.nanos / 1e6;
    }
  }
  const message = status.message === "" ? `the agent answered with status ${status.code}` : status.message;
  return new SocleError(kinds.get(status.code) ?? "internal", reason, message, {
    cause,
    details: defined({ metadata, fields, retryAfterMs }),
  });
}
