import { randomBytes } from "node:crypto";
import { Metadata, status, type StatusObject } from "@grpc/grpc-js";
import { toSocleError, type ErrorKind } from "../../kernel/errors.ts";
import type { Operation } from "../../state/operations/operation.ts";
import type { Status } from "../../gen/google/rpc/Status.ts";
import { toDuration } from "./time.ts";
import type { Contract } from "../../contract/load.ts";
import { toError } from "../../kernel/thrown.ts";
import { forTenant, resultForTenant, textsIn, type ErrorParts } from "./tenant-errors.ts";

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

/** The client's view of an error, and the log's when the client must not see all of it. */
export interface WireError {
  readonly status: StatusObject;
  readonly reason: string;
  /** Of an error whose text the client does not get: its id in the log and for the client. */
  readonly id?: string;
  readonly cause?: Error;
}

/** Who gets an error; `tenant`: restricted to it. */
export interface Recipient {
  readonly name: string;
  readonly tenant?: string;
}

/** Whether the word is the id of something that the caller sees. */
export type Owns = (caller: Recipient, word: string) => boolean;

type Call = { readonly caller: Recipient; readonly request?: unknown };
type Failed = Pick<Operation, "id" | "vmId"> & Required<Pick<Operation, "error">>;

/** Turns errors into gRPC statuses with google.rpc details. No text of an error reaches a caller by another way. */
export class ErrorEncoder {
  readonly #protos: Contract;
  readonly #owns: Owns;

  /** `owns`: by default nothing is the tenant's. */
  constructor(protos: Contract, owns: Owns = () => false) {
    this.#protos = protos;
    this.#owns = owns;
  }

  /**
   * Any thrown value as a gRPC status. The client gets only an id of an internal error, and a caller of one tenant as
   * tenant-errors.ts allows.
   */
  encode(thrown: unknown, { caller, request }: Call): WireError {
    const error = toSocleError(thrown);
    const id = randomBytes(6).toString("hex");
    const { kind, reason, message, details: of } = error;
    const whole = { kind, reason, message, metadata: of.metadata ?? {}, fields: of.fields ?? {} };
    const parts =
      kind === "internal" ? internal(whole, id) : this.#seen(whole, caller, id, () => textsIn(request));
    const text = wireText(parts.message);
    const further = kind === "internal" ? [] : this.#further(of.retryAfterMs, parts.fields);
    const details = [this.#errorInfo(reason, parts.metadata), ...further];
    const metadata = new Metadata();
    const code = codes[kind];
    metadata.set("grpc-status-details-bin", this.#protos.status.serialize({ code, message: text, details }));
    const encoded = { status: { code, details: text, metadata }, reason };
    return parts === whole || parts.message === message
      ? encoded
      : { ...encoded, id, cause: toError(thrown) };
  }

  /** A failed operation's error as its google.rpc.Status. */
  operationError({ id, vmId, error }: Failed, caller: Recipient): Status {
    const { reason, message, metadata } = this.#seen({ ...error, fields: {} }, caller, id, () => [id, vmId]);
    const details = [this.#errorInfo(reason, metadata)];
    return { code: codeOfKind(error.kind), message: wireText(message, maxOperationText), details };
  }

  /** The facts about an operation's outcome, without those that are not for the caller. */
  operationResult(result: Operation["result"], caller: Recipient): Operation["result"] {
    return caller.tenant === undefined ? result : resultForTenant(result);
  }

  /** What the caller may see of an error. */
  #seen(whole: ErrorParts, caller: Recipient, id: string, words: () => Iterable<string>): ErrorParts {
    if (caller.tenant === undefined) return whole;
    return forTenant(whole, { id, words, owns: (word) => this.#owns(caller, word) });
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

  #further(
    retryAfterMs: number | undefined,
    fields: ErrorParts["fields"],
  ): { type_url: string; value: Buffer }[] {
    const further = [];
    if (retryAfterMs !== undefined) {
      const value = this.#protos.retryInfo.serialize({ retryDelay: toDuration(retryAfterMs) });
      further.push({ type_url: `${anyPrefix}google.rpc.RetryInfo`, value });
    }
    if (Object.keys(fields).length > 0) {
      const fieldViolations = Object.entries(fields)
        .slice(0, maxViolations)
        .map(([field, description]) => ({ field: wireText(field), description: wireText(description) }));
      const value = this.#protos.badRequest.serialize({ fieldViolations });
      further.push({ type_url: `${anyPrefix}google.rpc.BadRequest`, value });
    }
    return further;
  }
}

const internal = (whole: ErrorParts, id: string): ErrorParts => ({
  ...whole,
  message: `internal error ${id}; see the agent's log`,
  metadata: { error_id: id },
  fields: {},
});

const codeOfKind = (kind: string): status =>
  Object.hasOwn(codes, kind) ? codes[kind as ErrorKind] : status.UNKNOWN;

// Cut in the middle, where foreign text stands (QEMU's can be long): the advice is at the end.
// Half a surrogate pair (a caller's, echoed) makes grpc-js throw while it writes the trailers, outside of any handler.
function wireText(text: string, most = maxText): string {
  const short =
    text.length > most ? `${text.slice(0, most - endOfText - 1)}…${text.slice(-endOfText)}` : text;
  return short.replace(/\p{Cs}/gu, "\ufffd");
}
