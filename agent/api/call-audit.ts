import type { Act, Actor, AuditLog } from "../audit/index.ts";
import { toSocleError, type ErrorKind } from "../kernel/errors.ts";
import { messageBytes } from "../kernel/text/message-bytes.ts";
import type { AuditBudget } from "./limits/audit-budget.ts";
import { subjectOf } from "../state/operations/subject.ts";
import { methods, type CallClass } from "../contract/methods.ts";
import { tenantOfVolume } from "../contract/spec-volume-name.ts";
import type { ServiceDependencies } from "./services/dependencies.ts";
import { accountOf, type Caller } from "./auth/identity.ts";
import { defined } from "../kernel/defined.ts";

/** The call that an entry is about. */
export interface AuditedCall {
  readonly path: string;
  readonly caller: Caller;
  /** `address:port`, where it came over the network. */
  readonly peer: string | undefined;
}

/** An admitted call, until it is answered. */
export interface AdmittedCall {
  /** `error`: the failure; undefined on success. */
  ended(answer: unknown, error?: unknown): void;
}

export type AuditRecorder = Pick<AuditLog, "record" | "note" | "noteRepeatable">;
type Known = Pick<ServiceDependencies, "vmView" | "operations" | "reservations">;

/** Callers' texts are truncated to this length. */
const maxText = 256;
const entryBytes = 2048;

/** Records each mutation, and each refused call. */
export class CallAudit {
  readonly #log: AuditRecorder;
  readonly #known: Known;
  readonly #budget: AuditBudget;
  readonly #nowMs: () => number;

  constructor(log: AuditRecorder, known: Known, limits: { budget: AuditBudget; nowMs: () => number }) {
    this.#log = log;
    this.#known = known;
    this.#budget = limits.budget;
    this.#nowMs = limits.nowMs;
  }

  /**
   * Resolves when the admission is durable; the call must not begin before. Rejects as `AuditLog.record`, and with
   * AUDIT_BUDGET_EXCEEDED.
   */
  async admit(call: AuditedCall, request: unknown, kind: CallClass): Promise<AdmittedCall> {
    const about = this.#about(call, request);
    const atMs = this.#nowMs();
    // Control calls relieve the host, so they have their own budget.
    const account = `${kind === "control" ? kind : "other"} ${accountOf(call.caller)}`;
    const credit = this.#budget.charge(account, 1 + Math.floor(messageBytes(about) / entryBytes));
    const of = await this.#log.record({ act: "call_admitted", ...about, outcome: "allowed" });
    const { arguments: _arguments, ...same } = about;
    return {
      ended: (answer, error) => {
        // No quota bounds consoles and calls to guests, so each one is charged.
        const isIdle = kind === "stream" || kind === "wait" || this.#isIdle(request, answer, atMs);
        if (error === undefined && !isIdle) credit();
        const made = textsOf(answer, { operationId: "operation", vmId: "vm" });
        this.#log.note({ act: "call_ended", of, ...same, ...made, ...outcomeOf(error) });
      },
    };
  }

  /** Records a call that was refused before `admit`. */
  refused(call: AuditedCall, request: unknown, error: unknown): void {
    this.#log.noteRepeatable({ act: "call_refused", ...this.#about(call, request), ...outcomeOf(error) });
  }

  /** Whether it changed nothing: validation only, or a retry answered by an earlier operation. */
  #isIdle(request: unknown, answer: unknown, atMs: number): boolean {
    if (valueAt(request, "validateOnly") === true) return true;
    const id = textAt(answer, "operationId");
    return id !== undefined && (known(() => this.#known.operations.get(id))?.createdAtMs ?? atMs) < atMs;
  }

  #about({ path, caller, peer }: AuditedCall, request: unknown): Omit<Act, "act"> {
    const fields = (methods[path]?.audit ?? []).flatMap((field) => {
      const value = valueAt(request, field);
      const isScalar = typeof value === "number" || typeof value === "boolean" || typeof value === "string";
      if (!isScalar || value === "" || value === false || value === 0) return [];
      return [[field, typeof value === "string" ? short(value) : value] as const];
    });
    return {
      caller: actorOf(caller, peer),
      method: path,
      ...textsOf(request, { requestId: "requestId" }),
      ...this.#subject(caller, request),
      ...(fields.length === 0 ? {} : { arguments: Object.fromEntries(fields) }),
    };
  }

  /**
   * The VM and its tenant. Calls of a tenant-restricted caller are recorded under that tenant: its audit log must not reveal
   * whether another tenant has a VM of that name.
   */
  #subject({ tenant: own }: Caller, request: unknown): { vm?: string; tenant?: string } {
    const { vm: named } = textsOf(request, { vm: "vm" });
    const vmId = named === undefined ? this.#vmOfOperation(request) : undefined;
    const vm = this.#known.vmView.get(named ?? vmId ?? "");
    const isTheirs = own === undefined || vm?.tenant === own;
    const id = (isTheirs ? vm?.id : undefined) ?? named ?? vmId ?? textAt(request, "spec.vmId");
    const tenant =
      own ??
      vm?.tenant ??
      textAt(request, "spec.tenant") ??
      textAt(request, "tenant") ??
      tenantOfVolume(textAt(request, "volume") ?? "") ??
      this.#tenantOfReservation(request);
    return defined({
      vm: id === undefined || id === "" ? undefined : short(id),
      tenant: tenant === undefined || tenant === "" ? undefined : short(tenant),
    });
  }

  #vmOfOperation(request: unknown): string | undefined {
    const id = textAt(request, "operationId");
    return id === undefined ? undefined : known(() => subjectOf(this.#known.operations.get(id)).vmId);
  }

  #tenantOfReservation(request: unknown): string | undefined {
    const id = textAt(request, "reservationId");
    return id === undefined ? undefined : known(() => this.#known.reservations.get(id).tenant);
  }
}

/** Undefined where it does not exist: the call itself reports that. */
function known<Found>(find: () => Found): Found | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}

export const actorOf = (
  { name, role, tenant, certificateSerial, behalf }: Caller,
  peer: string | undefined,
): Actor => defined({ name, role, tenant, certificateSerial, peer, ...behalf });

const outcomes: Partial<Record<ErrorKind, Act["outcome"]>> = {
  denied: "denied",
  unauthenticated: "denied",
  exhausted: "refused",
  conflict: "refused",
  // Cancelling is a console's normal end.
  cancelled: "cancelled",
};

/** By the reason only: messages contain callers' texts. */
function outcomeOf(error: unknown): Pick<Act, "outcome" | "reason"> {
  if (error === undefined) return { outcome: "done" };
  const { kind, reason } = toSocleError(error);
  return { outcome: outcomes[kind] ?? "failed", reason };
}

function valueAt(value: unknown, path: string): unknown {
  let inner = value;
  for (const step of path.split(".")) {
    if (typeof inner !== "object" || inner === null) return undefined;
    inner = (inner as Record<string, unknown>)[step];
  }
  return inner;
}

function textAt(value: unknown, path: string): string | undefined {
  const text = valueAt(value, path);
  return typeof text === "string" && text !== "" ? text : undefined;
}

/** The texts at these paths, by their names in the log. */
function textsOf<Name extends string>(
  value: unknown,
  names: Readonly<Record<string, Name>>,
): { [Key in Name]?: string } {
  const found: { [Key in Name]?: string } = {};
  for (const [field, name] of Object.entries<Name>(names)) {
    const text = textAt(value, field);
    if (text !== undefined) found[name] = short(text);
  }
  return found;
}

const short = (text: string): string => (text.length > maxText ? `${text.slice(0, maxText - 1)}…` : text);
