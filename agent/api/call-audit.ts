import type { Act, Actor, AuditLog } from "../audit/index.ts";
import { toSocleError, type ErrorKind } from "../kernel/errors.ts";
import { messageBytes } from "../kernel/text/message-bytes.ts";
import type { AuditBudget } from "./limits/audit-budget.ts";
import { methods, type CallClass } from "../contract/methods.ts";
import type { Doors } from "./services/doors.ts";
import { accountOf, type Caller } from "./auth/identity.ts";
import { defined } from "../kernel/defined.ts";

/** The call that an entry is about. */
export interface AuditedCall {
  readonly path: string;
  readonly caller: Caller;
  /** `address:port`, where it came over the network. */
  readonly peer: string | undefined;
}

/** One that was admitted, until it is answered. */
export interface AdmittedCall {
  /** `error`: what it failed with; undefined: it did not. */
  ended(answer: unknown, error?: unknown): void;
}

export type AuditDoor = Pick<AuditLog, "record" | "note" | "noteRepeatable">;
type Known = Pick<Doors, "vmView" | "operations" | "reservations">;

/** Texts of callers are cut. */
const maxText = 256;
const entryBytes = 2048;

/** Leaves the trace of each call that changes something, and of each that was refused. */
export class CallAudit {
  readonly #log: AuditDoor;
  readonly #known: Known;
  readonly #budget: AuditBudget;
  readonly #nowMs: () => number;

  constructor(log: AuditDoor, known: Known, limits: { budget: AuditBudget; nowMs: () => number }) {
    this.#log = log;
    this.#known = known;
    this.#budget = limits.budget;
    this.#nowMs = limits.nowMs;
  }

  /**
   * Resolves when the admission is on the disk; the call is not to begin before. Rejects as `AuditLog.record`, and with
   * AUDIT_BUDGET.
   */
  async admit(call: AuditedCall, request: unknown, kind: CallClass): Promise<AdmittedCall> {
    const about = this.#about(call, request);
    const atMs = this.#nowMs();
    // What relieves the host has a budget of its own.
    const account = `${kind === "control" ? kind : "other"} ${accountOf(call.caller)}`;
    const credit = this.#budget.charge(account, 1 + Math.floor(messageBytes(about) / entryBytes));
    const of = await this.#log.record({ act: "call_admitted", ...about, outcome: "allowed" });
    const { arguments: _told, ...same } = about;
    return {
      ended: (answer, error) => {
        // No quota bounds consoles, so each one is charged.
        const isIdle = kind === "stream" || this.#isIdle(request, answer, atMs);
        if (error === undefined && !isIdle) credit();
        const made = textsOf(answer, { operationId: "operation", vmId: "vm" });
        this.#log.note({ act: "call_ended", of, ...same, ...made, ...outcomeOf(error) });
      },
    };
  }

  /** One that did not get as far as `admit`. */
  refused(call: AuditedCall, request: unknown, error: unknown): void {
    this.#log.noteRepeatable({ act: "call_refused", ...this.#about(call, request), ...outcomeOf(error) });
  }

  /** Whether it changed nothing: a request that was only checked, or that is answered by an earlier operation. */
  #isIdle(request: unknown, answer: unknown, atMs: number): boolean {
    if (valueAt(request, "validateOnly") === true) return true;
    const id = textAt(answer, "operationId");
    return id !== undefined && (known(() => this.#known.operations.get(id))?.createdAtMs ?? atMs) < atMs;
  }

  #about({ path, caller, peer }: AuditedCall, request: unknown): Omit<Act, "act"> {
    const told = (methods[path]?.audit ?? []).flatMap((field) => {
      const value = valueAt(request, field);
      const isTold = typeof value === "number" || typeof value === "boolean" || typeof value === "string";
      if (!isTold || value === "" || value === false || value === 0) return [];
      return [[field, typeof value === "string" ? short(value) : value] as const];
    });
    return {
      caller: actorOf(caller, peer),
      method: path,
      ...textsOf(request, { requestId: "requestId" }),
      ...this.#subject(caller, request),
      ...(told.length === 0 ? {} : { arguments: Object.fromEntries(told) }),
    };
  }

  /**
   * Which VM it is about, and whose. What somebody who has to do with one tenant alone does is told as that tenant's: whether
   * there is another's VM behind a name he tried is not for his tenant to read.
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
      this.#tenantOfReservation(request);
    return defined({
      vm: id === undefined || id === "" ? undefined : short(id),
      tenant: tenant === undefined || tenant === "" ? undefined : short(tenant),
    });
  }

  #vmOfOperation(request: unknown): string | undefined {
    const id = textAt(request, "operationId");
    return id === undefined ? undefined : known(() => this.#known.operations.get(id).vmId);
  }

  #tenantOfReservation(request: unknown): string | undefined {
    const id = textAt(request, "reservationId");
    return id === undefined ? undefined : known(() => this.#known.reservations.get(id).tenant);
  }
}

/** Undefined where there is no such thing: the call itself will say so. */
function known<Found>(find: () => Found): Found | undefined {
  try {
    return find();
  } catch {
    return undefined;
  }
}

export function actorOf(
  { name, role, tenant, certificateSerial, behalf }: Caller,
  peer: string | undefined,
): Actor {
  return defined({ name, role, tenant, certificateSerial, peer, ...behalf });
}

const outcomes: Partial<Record<ErrorKind, Act["outcome"]>> = {
  denied: "denied",
  unauthenticated: "denied",
  exhausted: "refused",
  conflict: "refused",
  // A console ends so, when its caller has had enough.
  cancelled: "cancelled",
};

/** By the reason alone: messages are made of what callers say. */
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

/** The texts under these names, under the names they have in the log. */
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
