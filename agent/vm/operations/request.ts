import { createHash } from "node:crypto";
import { SocleError } from "../../kernel/errors.ts";
import { tenantOfCaller } from "../../trust/index.ts";
import type { Behalf, Operation } from "../../state/operations/operation.ts";

/** SHA-256 of the request without its id: the same body gives the same fingerprint. */
export function fingerprintOf(kind: string, body: unknown): string {
  const sorted = (_key: string, value: unknown): unknown =>
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return createHash("sha256")
    .update(`${kind}\n${JSON.stringify(body, sorted)}`)
    .digest("hex");
}

const MOST_NAME_CHARACTERS = 1024;

/** Throws `not_found` for a text that is too long for a VM's name, before any computation on it. */
export function requireNameable(vm: string): void {
  if (vm.length <= MOST_NAME_CHARACTERS) return;
  const message = `there is no VM ${vm.slice(0, 64)}...: no VM name has ${vm.length} characters`;
  throw new SocleError("not_found", "VM_NOT_FOUND", message);
}

/** The result of a validate-only request: not stored. */
export const validated = (requestId: string, vmId: string, caller: string, nowMs: number): Operation => ({
  id: "",
  requestId,
  kind: "CREATE_VM",
  vmId,
  caller,
  state: "succeeded",
  steps: [],
  progress: 1,
  createdAtMs: nowMs,
  endedAtMs: nowMs,
  result: { validated: "true" },
  intent: undefined,
});

/** Fields that identify the caller or the attempt, and are no part of the request's content. */
export const noIdentity = { requestId: undefined, behalf: undefined, tenantOnly: undefined };

export const requesterOf = (
  { requestId, behalf }: { readonly requestId: string; readonly behalf?: Behalf | undefined },
  caller: string,
) => ({ requestId, caller, behalf, byTenant: tenantOfCaller(caller) !== undefined });

/** An operation counts against the limits of its VM's tenant. */
export const chargedTo = ({ tenant }: { readonly tenant: string }): { readonly tenant?: string } =>
  tenant === "" ? {} : { tenant };
