import { createHash } from "node:crypto";
import { SocleError } from "../../kernel/errors.ts";
import { tenantOfCaller } from "../../trust/index.ts";
import type { Vm } from "../model/vm.ts";
import { isSameBesideState } from "../observation/vm-from-domain.ts";
import type { Result } from "./definition.ts";
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
export const validated = (
  of: Pick<Operation, "requestId" | "kind" | "vmId" | "caller">,
  nowMs: number,
  plan: Result = {},
): Operation => ({
  ...of,
  id: "",
  state: "succeeded",
  steps: [],
  progress: 1,
  createdAtMs: nowMs,
  endedAtMs: nowMs,
  result: { validated: "true", ...plan },
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

/** Throws `conflict` ETAG_MISMATCH if the VM has changed since the caller read it. */
export function requireEtag(wanted: string | undefined, vm: Etagged | undefined): void {
  if (wanted === undefined || vm === undefined || vm.etag === wanted) return;
  throw new SocleError("conflict", "ETAG_MISMATCH", `VM ${vm.name} changed since it was read; read it again`);
}

/** As `requireEtag`, for a request that depends on the VM's spec and not on its state. */
export function requireSpecOf(wanted: string | undefined, vm: Etagged): void {
  if (wanted === undefined || !isSameBesideState(wanted, vm.etag)) requireEtag(wanted, vm);
}

interface Etagged {
  readonly etag: string;
  readonly name: string;
}

/** Every mutation carries these. `vm` is an id or a name. */
export interface Mutation {
  readonly requestId: string;
  /** Not part of the request's identity. */
  readonly behalf?: Behalf | undefined;
  readonly vm: string;
  /** Check everything and change nothing. */
  readonly validateOnly?: boolean;
}

/** The caller of a mutation, and what it may know. */
export interface Asker {
  readonly caller: string;
  readonly fingerprint: string;
  /** The operation of this request, if it came before. */
  readonly find: () => Promise<Operation> | undefined;
  /** Whether a VM exists, as far as the caller may know. May throw. */
  readonly isVisible: (vm: Vm) => boolean;
}

export interface CreateRequest {
  readonly requestId: string;
  readonly behalf?: Behalf | undefined;
  /** Unvalidated: it is checked here. Without `id` one is generated. */
  readonly spec: Readonly<Record<string, unknown>>;
  /** The secret parts of its `cloudInit`, unvalidated: no spec has them. */
  readonly seed?: Readonly<Record<string, unknown>> | undefined;
  readonly leaveStopped: boolean;
  readonly validateOnly: boolean;
  readonly placementEpoch: number;
  /** Its capacity was reserved before. */
  readonly reservationId?: string | undefined;
  /** Restricts the caller to the spec's tenant. */
  readonly tenantOnly?: boolean;
}
