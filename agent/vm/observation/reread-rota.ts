import type { Clock } from "../../kernel/clock.ts";
import { isActive } from "../hypervisor/domains.ts";
import type { Vm } from "../model/vm.ts";

/** Below a minute by more than the time between two turns, so that no VM waits longer than a minute. */
const EVERY_MS = 45_000;

/**
 * Selects VMs to read again without an event: stopped VMs, whose definition can change without one (virsh attach-disk
 * --config), unreadable VMs, which may have been repaired, and guests whose memory grows: an event of it may be lost. The work is spread over the turns.
 */
export class RereadRota {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #lastMs: number | undefined;
  /** The id of the last VM that was selected; "" before the first. */
  #last = "";

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** `vms`: all, ordered by id. */
  next(vms: readonly Vm[]): readonly Vm[] {
    const nowMs = this.#clock.monotonicMs();
    const sinceMs = nowMs - (this.#lastMs ?? nowMs);
    const due = vms.filter(
      (vm) => !isActive(vm) || vm.unreadable !== undefined || vm.libvirtMemoryBytes !== undefined,
    );
    const count = Math.min(due.length, Math.ceil((due.length * sinceMs) / EVERY_MS));
    this.#lastMs = nowMs;
    const behind = due.findIndex(({ id }) => id > this.#last);
    const start = Math.max(behind, 0);
    const turn = [...due.slice(start), ...due.slice(0, start)].slice(0, count);
    this.#last = turn.at(-1)?.id ?? this.#last;
    return turn;
  }
}
