import type { Procedure } from "../../agent/libvirt/rpc/procedure.ts";

/** What happens to one call on its way to libvirt or back. */
export type Fault =
  /**
   * libvirt gets it so much later, and not before `until`, even if the caller has left by then: a daemon whose workers are
   * all busy.
   */
  | { readonly kind: "delay"; readonly ms: number; readonly until?: Promise<void> }
  /** libvirt never gets it, and nobody answers. */
  | { readonly kind: "hang" }
  /** libvirt never gets it, and an error with this virErrorNumber comes back. */
  | { readonly kind: "refuse"; readonly code: number }
  /** libvirt gets half of it; then both sides lose the connection. */
  | { readonly kind: "cut_call" }
  /** libvirt does it; nobody answers. */
  | { readonly kind: "drop_reply" }
  /** libvirt does it; the answer comes so much later. */
  | { readonly kind: "delay_reply"; readonly ms: number }
  /** libvirt does it; half of the answer comes, then both sides lose the connection. */
  | { readonly kind: "cut_reply" }
  /** libvirt does it; the answer's body is not what the procedure's result looks like. */
  | { readonly kind: "garble_reply" }
  /**
   * libvirt's lists come back shorter, as well-formed as ever. No client can tell such an answer from a true one: it
   * is for showing that the agent calls nothing absent on the word of a list alone.
   */
  | { readonly kind: "truncate"; readonly keep: number }
  /** Nothing, but the campaign is told when the call comes by or its answer does, and holds it up until it is done. */
  | { readonly kind: "tell"; readonly at: "call" | "reply"; readonly act: () => void | Promise<void> };

/**
 * The agent's three connections, told apart by what is asked on them: `command` until libvirt's events are registered
 * for on it, or all domains' statistics are asked for.
 */
export type ProxyLane = "command" | "observation" | "events";

export interface Rule {
  readonly fault: Fault;
  /** Every procedure when absent. */
  readonly procedure?: Procedure<unknown, unknown>;
  /** Only calls of these procedures, by their numbers. */
  readonly among?: ReadonlySet<number>;
  /** Any lane when absent. */
  readonly lane?: ProxyLane;
  /** So many calls that fit come through first. */
  readonly skip?: number;
  /** How many calls it strikes; without, all until it is removed. */
  readonly times?: number;
}

/** A rule in force, and how often it has struck. */
export class ActiveRule {
  readonly rule: Rule;
  struck = 0;
  #seen = 0;

  constructor(rule: Rule) {
    this.rule = rule;
  }

  /** Whether this call is to be struck; counts it. */
  strikes(procedure: number, lane: ProxyLane): boolean {
    const { rule } = this;
    if (rule.procedure !== undefined && rule.procedure.number !== procedure) return false;
    if (rule.among?.has(procedure) === false) return false;
    if (rule.lane !== undefined && rule.lane !== lane) return false;
    this.#seen += 1;
    if (this.#seen <= (rule.skip ?? 0) || this.struck >= (rule.times ?? Infinity)) return false;
    this.struck += 1;
    return true;
  }
}
