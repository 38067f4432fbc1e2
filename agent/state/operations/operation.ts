import type { SocleError } from "../../kernel/errors.ts";

/** A mutation under way or done. Immutable: every change makes a new record with the same id. */
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
  /** Its caller is restricted to that tenant. Absent otherwise, and in operations that earlier agents began. */
  readonly byTenant?: true;
  readonly caller: string;
  readonly behalf?: Behalf;
  readonly state: "running" | "succeeded" | "failed" | "cancelled" | "outcome_unknown";
  readonly steps: readonly OperationStep[];
  /** 0 to 1. */
  readonly progress: number;
  readonly error?: OperationError;
  readonly createdAtMs: number;
  readonly endedAtMs?: number;
  /** The same moment, which no step of the wall clock moves. */
  readonly endedSinceBoot?: SinceBoot;
  readonly result: Readonly<Record<string, string>>;
  /** Who asked first that it be cancelled; `state` says whether it was. */
  readonly cancelledBy?: string;
  /** The end of its work: durable, and not shown yet. */
  readonly decided?: End;
  /** What replay needs to find out what happened: the parsed request and what was decided at admission. JSON. */
  readonly intent: unknown;
}

/** The fields of an operation that its end sets. */
export type End = Pick<Operation, "state"> &
  Partial<Pick<Operation, "progress" | "result" | "error" | "endedAtMs" | "endedSinceBoot" | "cancelledBy">>;

/** Who stands behind a caller, and why he acts, as far as it was said. */
export interface Behalf {
  /** As the identity provider calls him. */
  readonly person?: string;
  /** The id of the token that says so. */
  readonly token?: string;
  /** A change or an incident. */
  readonly ticket?: string;
  /** Why nobody was asked who he is. */
  readonly breakGlass?: string;
}

export interface SinceBoot {
  readonly bootId: string;
  readonly ms: number;
}

export interface OperationStep {
  readonly name: string;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  /** Absent while under way. */
  readonly outcome?: "done" | "failed" | "undone";
}

/** A SocleError as it is kept: kind, reason, message and metadata without its cause. */
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

/** Its effect may have happened or not, nothing works on it, and its end is not decided. */
export const isUnsettled = ({ state, decided }: Operation): boolean =>
  state === "outcome_unknown" && decided === undefined;

export const isDone = (operation: Operation): boolean =>
  operation.state !== "running" && operation.state !== "outcome_unknown";
