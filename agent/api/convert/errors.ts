import { randomBytes } from "node:crypto";
import { Metadata, status, type StatusObject } from "@grpc/grpc-js";
import { toSocleError, type ErrorKind, type SocleError } from "../../kernel/errors.ts";
import type { OperationError } from "../../state/operations/operation.ts";
import type { Status } from "../../gen/google/rpc/Status.ts";
import { toDuration } from "./time.ts";
import type { Contract } from "../../contract/load.ts";
import { toError } from "../../kernel/thrown.ts";

const codes: Readonly<Record<ErrorKind, status>> = {
  not_found: status.NOT_FOUND,
  already_exists: status.ALREADY_EXISTS,
  conflict: status.FAILED_PRECONDITION,
  invalid: status.INVALID_ARGUMENT,
  denied: status.PERMISSION_DENIED,
  unauthenticated: status.UNAUTHENTICATED,
  unavailable: status.UNAVAILABLE,
  timeout: status.DEADLINE_EXCEEDED,
  outcome_unknown: status.UNKNOWN,
  exhausted: status.RESOURCE_EXHAUSTED,
  out_of_range: status.OUT_OF_RANGE,
  cancelled: status.CANCELLED,
  unsupported: status.UNIMPLEMENTED,
  internal: status.INTERNAL,
};

const errorDomain = "socle";
const anyPrefix = "type.googleapis.com/";
// Trailers share one header block with a usual limit of 8 KiB.
const maxText = 512;
/** Of an operation's error, which is a part of a message: what a person has to decide does not fit into a trailer. */
export const maxOperationText = 2048;
/** Characters kept from the end of a truncated text. */
const endOfText = 160;
const maxViolations = 10;
const maxMetadata = 16;

/** The client's view of an error, and the log's when the client must not see it. */
export interface WireError {
  readonly status: StatusObject;
  readonly reason: string;
  /** For an internal error: its id in the log and for the client. */
  readonly id?: string;
  readonly cause?: Error;
}

/** Turns errors into gRPC statuses with google.rpc details. */
export class ErrorEncoder {
  readonly #protos: Contract;

  constructor(protos: Contract) {
    this.#protos = protos;
  }

  /** Any thrown value as a gRPC status. The client gets only an id of an internal error. */
  encode(thrown: unknown): WireError {
    const error = toSocleError(thrown);
    const internal = error.kind === "internal";
    const id = internal ? randomBytes(6).toString("hex") : undefined;
    const code = codes[error.kind];
    const message = wireText(id === undefined ? error.message : `internal error ${id}; see the agent's log`);
    const metadata = new Metadata();
    const details = internal
      ? [this.#errorInfo(error.reason, { error_id: id ?? "" })]
      : [this.#errorInfo(error.reason, error.details.metadata ?? {}), ...this.#further(error)];
    metadata.set("grpc-status-details-bin", this.#protos.status.serialize({ code, message, details }));
    const encoded = { status: { code, details: message, metadata }, reason: error.reason };
    return id === undefined ? encoded : { ...encoded, id, cause: toError(thrown) };
  }

  /** A failed operation's error as its google.rpc.Status. */
  operationError(error: OperationError): Status {
    const details = [this.#errorInfo(error.reason, error.metadata)];
    return { code: codeOfKind(error.kind), message: wireText(error.message, maxOperationText), details };
  }

  #errorInfo(
    reason: string,
    metadata: Readonly<Record<string, string>>,
  ): { type_url: string; value: Buffer } {
    const entries = Object.entries(metadata).slice(0, maxMetadata);
    const texts = Object.fromEntries(entries.map(([key, value]) => [key, wireText(value)]));
    const value = this.#protos.errorInfo.serialize({ reason, domain: errorDomain, metadata: texts });
    return { type_url: `${anyPrefix}google.rpc.ErrorInfo`, value };
  }

  #further(error: SocleError): { type_url: string; value: Buffer }[] {
    const further = [];
    const { retryAfterMs, fields } = error.details;
    if (retryAfterMs !== undefined) {
      const value = this.#protos.retryInfo.serialize({ retryDelay: toDuration(retryAfterMs) });
      further.push({ type_url: `${anyPrefix}google.rpc.RetryInfo`, value });
    }
    if (fields !== undefined) {
      const fieldViolations = Object.entries(fields)
        .slice(0, maxViolations)
        .map(([field, description]) => ({ field: wireText(field), description: wireText(description) }));
      const value = this.#protos.badRequest.serialize({ fieldViolations });
      further.push({ type_url: `${anyPrefix}google.rpc.BadRequest`, value });
    }
    return further;
  }
}

const codeOfKind = (kind: string): status =>
  Object.hasOwn(codes, kind) ? codes[kind as ErrorKind] : status.UNKNOWN;

// Cut in the middle, where foreign text stands (QEMU's can be long): the advice is at the end.
// Half a surrogate pair (a caller's, echoed) makes grpc-js throw while it writes the trailers, outside of any handler.
function wireText(text: string, most = maxText): string {
  const short =
    text.length > most ? `${text.slice(0, most - endOfText - 1)}…${text.slice(-endOfText)}` : text;
  return short.replace(/\p{Cs}/gu, "\ufffd");
}
