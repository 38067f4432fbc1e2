import { status } from "@grpc/grpc-js";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { Answer } from "./attack-calls.ts";
import type { Outcome } from "./attack-tries.ts";
import type { Tenant, TenantsStage } from "./tenants-stage.ts";

/** What a refusal says to programs: its metadata holds at least these facts. */
export interface Cause {
  readonly code: status;
  readonly reason: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** One way in which a tenant harms another or takes what is not its own. */
export interface Act {
  readonly dimension: string;
  readonly what: string;
  readonly creation?: RefusedCreation;
  /** Those that fill their kept operations, or those that keep room for operations; any of them otherwise. */
  readonly by?: "hoarders" | "others";
  /** Nothing of it is refused: what it does to others is for the checks to see. */
  readonly isAdmitted?: true;
  readonly attack: (stage: TenantsStage, tenant: Tenant) => Promise<Outcome>;
}

/** A creation that is refused to a hostile tenant for its cause alone: somebody else gets past it with the same request. */
export interface RefusedCreation {
  readonly spec: (stage: TenantsStage, tenant: Tenant) => VmSpec;
  readonly allowedTo: "operator" | "permitted tenant";
  /** Where that one may be refused all the same, further on: what a host may lack, or who uses it. */
  readonly butFor?: Cause;
}

/** How much a caller asks for, whatever that is: a refusal by these shows nothing of an act's own cause. */
const BOUNDS_OF_CALLERS: ReadonlySet<string> = new Set([
  "RATE_LIMITED",
  "TOO_MANY_CALLS",
  "AUDIT_BUDGET_EXCEEDED",
  "REPLIES_NOT_READ",
  "TOO_MANY_OPERATIONS",
]);

export function isCausedBy(answer: Answer, { code, reason, metadata = {} }: Cause): boolean {
  const facts = Object.entries(metadata);
  return (
    answer.code === code &&
    answer.reason === reason &&
    facts.every(([key, value]) => answer.metadata[key] === value)
  );
}

export const isByBoundsOfCallers = ({ code, reason }: Pick<Answer, "code" | "reason">): boolean =>
  code === status.RESOURCE_EXHAUSTED && BOUNDS_OF_CALLERS.has(reason);

export function judge(answer: Answer, cause: Cause): Outcome {
  if (isCausedBy(answer, cause)) return "refused";
  if (isByBoundsOfCallers(answer)) return "inert";
  return { letThrough: `answered ${told(answer)}, not ${cause.reason}` };
}

export const told = ({ code, reason, message, metadata }: Answer): string =>
  `${status[code]} ${reason} ${message} ${JSON.stringify(metadata)}`;
