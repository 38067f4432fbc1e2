import type { SocleError } from "../../kernel/errors.ts";

/** A mutation in progress or done. Immutable: every change makes a new object with the same id. */
export interface Operation {
  readonly id: string;
  readonly requestId: string;
  /** Upper snake: CREATE_VM, START_VM, ... */
  readonly kind: string;
  readonly vmId: string;
  /** The instance of the VM that it was admitted for; absent in operations of version 0.1.0. */
  readonly instance?: string;
  /** The VM's tenant; absent for a VM without one, and in operations of version 0.1.0. */
  readonly tenant?: string;
  /** Its caller is restricted to that tenant. Absent otherwise, and in operations of earlier agents. */
  readonly byTenant?: true;
  readonly caller: string;
  readonly behalf?: Behalf;
  readonly state: "running" | "succeeded" | "failed" | "cancelled" | "outcome_unknown";
  readonly steps: readonly OperationStep[];
  /** 0 to 1. */
  readonly progress: number;
  /** Of the present step, if it copies bytes. It is not recorded. */
  readonly transfer?: Transfer;
  readonly error?: OperationError;
  readonly createdAtMs: number;
  readonly endedAtMs?: number;
  /** The same moment on a clock that wall clock steps do not move. */
  readonly endedSinceBoot?: SinceBoot;
  readonly result: Readonly<Record<string, string>>;
  /** The first caller that requested its cancellation; `state` shows whether it was cancelled. */
  readonly cancelledBy?: string;
  /** The end of its work: durable, and not shown yet. */
  readonly decided?: End;
  /** Data that replay needs to find the outcome: the parsed request and the decisions at admission. JSON. */
  readonly intent: unknown;
}

/** The fields of an operation that its end sets. */
export type End = Pick<Operation, "state"> &
  Partial<Pick<Operation, "progress" | "result" | "error" | "endedAtMs" | "endedSinceBoot" | "cancelledBy">>;

/** The person behind a caller and the reason for the request, as far as given. */
export interface Behalf {
  /** Name at the identity provider. */
  readonly person?: string;
  /** Id of the token that names the person. */
  readonly token?: string;
  /** A change or an incident. */
  readonly ticket?: string;
  /** Why no identity was required. */
  readonly breakGlass?: string;
}

/** How far a copy of bytes is. */
export interface Transfer {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Over the last seconds; absent while it is not known. */
  readonly bytesPerSecond?: number;
}

interface SinceBoot {
  readonly bootId: string;
  readonly ms: number;
}

export interface OperationStep {
  readonly name: string;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  /** Absent while in progress. */
  readonly outcome?: "done" | "failed" | "undone";
}

/** A stored SocleError: kind, reason, message and metadata, without its cause. */
export interface OperationError {
  readonly kind: string;
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export const errorOf = ({ kind, reason, message, details }: SocleError): OperationError => ({
  kind,
  reason,
  message,
  metadata: details.metadata ?? {},
});

/** Its effect is uncertain, nothing works on it, and its end is not decided. */
export const isUnsettled = ({ state, decided }: Operation): boolean =>
  state === "outcome_unknown" && decided === undefined;

/** Reasons of an unknown outcome that only a person can decide: libvirt does not have it any more. */
const DECIDED_BY_PERSON: ReadonlySet<string> = new Set(["MOVE_IN_DOUBT", "MERGE_IN_DOUBT"]);

export const waitsForPerson = ({ state, error }: Pick<Operation, "state" | "error">): boolean =>
  state === "outcome_unknown" && error !== undefined && DECIDED_BY_PERSON.has(error.reason);

export const isDone = (operation: Operation): boolean =>
  operation.state !== "running" && operation.state !== "outcome_unknown";

/** How an operation ended. */
export type Outcome =
  | { readonly state: "succeeded"; readonly result?: Readonly<Record<string, string>> }
  | { readonly state: "failed" | "cancelled"; readonly error: unknown };
