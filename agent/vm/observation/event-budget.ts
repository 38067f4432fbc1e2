import type { Clock } from "../../kernel/clock.ts";
import type { EventKind, NewEvent } from "../../state/events/event.ts";
import { defined } from "../../kernel/defined.ts";

/** Burst size per VM, and the time in which one more event is allowed. */
const BURST = 60;
const REFILL_MS = 10_000;
/** Events that a VM must have available again before its drops are summed up: a flood gives one summary a minute. */
const RECOVERED = 6;

/** Guests cannot cause these events. */
const UNBUDGETED: ReadonlySet<EventKind> = new Set<EventKind>(["vm_defined", "vm_removed"]);

interface Budget {
  left: number;
  atMs: number;
  dropped: number;
  last: NewEvent;
}

/**
 * A budget of events per VM. A guest that reboots in a loop would push the events of all other VMs out of the event
 * log. Events over the budget are dropped. A `vm_events_dropped` event sums them up, with the VM's newest state.
 */
export class EventBudget {
  readonly #publish: (event: NewEvent) => void;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #budgets = new Map<string, Budget>();

  constructor(publish: (event: NewEvent) => void, clock: Pick<Clock, "monotonicMs">) {
    this.#publish = publish;
    this.#clock = clock;
  }

  readonly publish = (event: NewEvent): void => {
    const { vmId, kind } = event;
    if (vmId === undefined || UNBUDGETED.has(kind)) {
      if (kind === "vm_removed" && vmId !== undefined) this.#forget(vmId);
      this.#publish(event);
      return;
    }
    const budget = this.#of(vmId, event);
    this.#sumUp(vmId, budget);
    budget.last = event;
    if (budget.dropped > 0 || budget.left < 1) budget.dropped += 1;
    else {
      budget.left -= 1;
      this.#publish(event);
    }
  };

  /** Called periodically: sums up the drops of VMs that became quiet, and forgets full budgets. */
  settle(): void {
    for (const [vmId, budget] of this.#budgets) {
      this.#refill(budget);
      this.#sumUp(vmId, budget);
      if (budget.left >= BURST) this.#budgets.delete(vmId);
    }
  }

  #of(vmId: string, event: NewEvent): Budget {
    let budget = this.#budgets.get(vmId);
    if (budget === undefined) {
      budget = { left: BURST, atMs: this.#clock.monotonicMs(), dropped: 0, last: event };
      this.#budgets.set(vmId, budget);
    }
    this.#refill(budget);
    return budget;
  }

  #refill(budget: Budget): void {
    const nowMs = this.#clock.monotonicMs();
    budget.left = Math.min(BURST, budget.left + (nowMs - budget.atMs) / REFILL_MS);
    budget.atMs = nowMs;
  }

  #sumUp(vmId: string, budget: Budget): void {
    if (budget.dropped === 0 || budget.left < RECOVERED) return;
    const { vmName, vmState, reason } = budget.last;
    this.#publish(
      defined({
        kind: "vm_events_dropped",
        vmId,
        vmName,
        vmState,
        reason,
        details: { dropped: String(budget.dropped), last_kind: budget.last.kind },
      }),
    );
    budget.left -= 1;
    budget.dropped = 0;
  }

  #forget(vmId: string): void {
    const budget = this.#budgets.get(vmId);
    if (budget === undefined) return;
    budget.left = BURST;
    this.#sumUp(vmId, budget);
    this.#budgets.delete(vmId);
  }
}
