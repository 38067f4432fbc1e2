import type { Procedure } from "../../agent/libvirt/rpc/procedure.ts";

/** A fault of one call on its way to libvirt or back. */
export type Fault =
  /**
   * libvirt gets the call later, and not before `until`, even if the caller disconnected: a daemon whose workers are all
   * busy.
   */
  | { readonly kind: "delay"; readonly ms: number; readonly until?: Promise<void> }
  /** libvirt never gets the call, and there is no reply. */
  | { readonly kind: "hang" }
  /** libvirt never gets the call; the client gets an error with this virErrorNumber. */
  | { readonly kind: "refuse"; readonly code: number }
  /** libvirt gets half of the call; then both sides lose the connection. */
  | { readonly kind: "cut_call" }
  /** libvirt executes the call; the reply is dropped. */
  | { readonly kind: "drop_reply" }
  /** libvirt executes the call; the reply is delayed. */
  | { readonly kind: "delay_reply"; readonly ms: number }
  /** libvirt executes the call; half of the reply arrives, then both sides lose the connection. */
  | { readonly kind: "cut_reply" }
  /** libvirt executes the call; the reply's body does not fit the procedure's result. */
  | { readonly kind: "garble_reply" }
  /**
   * libvirt's lists come back shorter and well-formed. No client can detect that: it shows that the agent reports no VM as
   * absent because of one list.
   */
  | { readonly kind: "truncate"; readonly keep: number }
  /** No fault: runs `act` when the call or its reply passes, and holds it back meanwhile. */
  | { readonly kind: "notify"; readonly at: "call" | "reply"; readonly act: () => void | Promise<void> };

/**
 * The agent's three connections, distinguished by their calls: `command` until the client registers for events on it, or
 * requests all domains' statistics.
 */
export type ProxyLane = "command" | "observation" | "events";

export interface Rule {
  readonly fault: Fault;
  /** Absent: every procedure. */
  readonly procedure?: Procedure<unknown, unknown>;
  /** Applies only to calls of these procedure numbers. */
  readonly among?: ReadonlySet<number>;
  /** Absent: every lane. */
  readonly lane?: ProxyLane;
  /** Calls before this is true pass, and do not count. */
  readonly since?: () => boolean;
  /** The number of matching calls that pass first. */
  readonly skip?: number;
  /** The number of affected calls; absent: all until the rule is removed. */
  readonly times?: number;
}

/** An active rule and its number of affected calls. */
export class ActiveRule {
  readonly rule: Rule;
  struck = 0;
  #seen = 0;

  constructor(rule: Rule) {
    this.rule = rule;
  }

  /** Whether the rule affects this call; counts it. */
  strikes(procedure: number, lane: ProxyLane): boolean {
    const { rule } = this;
    if (rule.procedure !== undefined && rule.procedure.number !== procedure) return false;
    if (rule.among?.has(procedure) === false) return false;
    if (rule.lane !== undefined && rule.lane !== lane) return false;
    if (rule.since?.() === false) return false;
    this.#seen += 1;
    if (this.#seen <= (rule.skip ?? 0) || this.struck >= (rule.times ?? Infinity)) return false;
    this.struck += 1;
    return true;
  }
}
