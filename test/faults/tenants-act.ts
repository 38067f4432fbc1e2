import { status } from "@grpc/grpc-js";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import type { Answer } from "./attack-calls.ts";
import type { Outcome } from "./attack-runner.ts";
import type { HostileTenant, Tenant, TenantsStage } from "./tenants-stage.ts";

/** The expected metadata of a refusal: at least these facts. */
export interface Cause {
  readonly code: status;
  readonly reason: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** One way in which a tenant harms another or takes others' resources. */
export interface Act {
  readonly dimension: string;
  readonly what: string;
  readonly creation?: RefusedCreation;
  /** Only tenants that fill their kept operations, or only those that leave room; undefined: any. */
  readonly by?: "hoarders" | "others";
  /** The act is not refused; the checks show its effect on others. */
  readonly isAdmitted?: true;
  readonly attack: (stage: TenantsStage, tenant: HostileTenant) => Promise<Outcome>;
}

/** A creation that is refused to a hostile tenant only for its cause: another caller passes that check with the same request. */
export interface RefusedCreation {
  readonly spec: (stage: TenantsStage, tenant: Tenant) => VmSpec;
  readonly allowedTo: "operator" | "permitted tenant";
  /** Later refusals of that caller that are allowed: a missing feature of the host, or a resource in use. */
  readonly butFor?: Cause;
}

/** Rate and load limits of any caller: a refusal by these does not show the act's own cause. */
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
  return { letThrough: `answered ${describeAnswer(answer)}, not ${cause.reason}` };
}

export const describeAnswer = ({ code, reason, message, metadata }: Answer): string =>
  `${status[code]} ${reason} ${message} ${JSON.stringify(metadata)}`;
