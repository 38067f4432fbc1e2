import type { Clock } from "../../kernel/clock.ts";
import { aborted, LATE, within } from "../../kernel/concurrency/deadline.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { NewEvent } from "../../state/events/event.ts";
import { isDone, type Operation } from "../../state/operations/operation.ts";
import type { Operations } from "../../state/operations/operations.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import type { Vm } from "../model/vm.ts";
import type { VmTable } from "../observation/vm-table.ts";
import { AGENT, failureOf, type OwnStarts } from "./own-starts.ts";
import { foundOff } from "./paused-qemu.ts";

export interface CrashRestartsOptions {
  readonly operations: Pick<Operations, "admittedFor" | "untilPermitted">;
  readonly starts: Pick<OwnStarts, "start">;
  readonly table: Pick<VmTable, "all" | "get" | "until" | "untilComplete" | "subscribe">;
  readonly publish: (event: NewEvent) => void;
  /** Of one VM. */
  readonly mostPerHour: number;
  readonly clock: Clock;
  readonly log: Logger;
}

const HOUR_MS = 3_600_000;
const FIRST_AFTER_MS = 1000;
/** The delay before the second restart within an hour; each further one waits twice as long. */
const SECOND_AFTER_MS = 10_000;
const LONGEST_MS = 600_000;
/** How often to look whether an operation of the VM has ended. */
const BUSY_MS = 1000;
const REQUEST = "crash-";

/** The operations that decide whether a VM is meant to run. */
const MEANT_ON: ReadonlySet<string> = new Set(["CREATE_VM", "START_VM", "UNRESCUE_VM"]);
const MEANT_OFF: ReadonlySet<string> = new Set(["STOP_VM", "SUSPEND_VM", "DELETE_VM", "RESCUE_VM"]);

/**
 * Starts VMs again whose guest crashed, by their crash policy. The journal has the earlier restarts, so a restart of the
 * agent forgets none. The newest operation that started or stopped the VM decides whether it is meant to run.
 */
export class CrashRestarts implements Service {
  readonly name = "crash-restarts";
  readonly #options: CrashRestartsOptions;
  readonly #handled = new Set<string>();
  /** VMs that this agent has seen running since their last crash. */
  readonly #ran = new Set<string>();
  #restarts = 0;
  #exhausted = 0;

  constructor(options: CrashRestartsOptions) {
    this.#options = options;
  }

  /** Since the agent's start: restarts, and crashes that were too many to restart at once. */
  get counts(): { readonly restarts: number; readonly exhausted: number } {
    return { restarts: this.#restarts, exhausted: this.#exhausted };
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { table, operations } = this.#options;
    const changes = table.subscribe(signal);
    ready();
    try {
      await table.untilComplete(signal);
      await operations.untilPermitted(signal);
    } catch {
      await aborted(signal);
      return;
    }
    for (const vm of table.all()) this.#look(vm, signal);
    for await (const change of changes) {
      if (change.kind === "overflow" || change.value.kind === "resync")
        for (const vm of table.all()) this.#look(vm, signal);
      else if (change.value.kind === "removed") this.#ran.delete(change.value.vm.id);
      else this.#look(change.value.vm, signal);
    }
  }

  #look(vm: Vm, signal: AbortSignal): void {
    const { table } = this.#options;
    const { id } = vm;
    // The rescue system is not the VM's own.
    if (vm.rescue !== undefined) this.#ran.delete(id);
    else if (isActive(vm)) this.#ran.add(id);
    else if (!isCrashed(vm) && !this.#failedToRestart(vm)) this.#ran.delete(id);
    else if (vm.spec?.crashPolicy === "restart" && !this.#handled.has(id)) {
      this.#handled.add(id);
      void this.#handle(id, signal).then((how) => {
        this.#handled.delete(id);
        // It may have crashed again meanwhile.
        const now = table.get(id);
        if (how === "up" && now !== undefined && !signal.aborted) this.#look(now, signal);
      });
    }
  }

  /** The newest operation on it is a restart that failed. */
  #failedToRestart(vm: Vm): boolean {
    if (!isDown(vm)) return false;
    const [newest] = this.#options.operations.admittedFor(vm.id);
    return newest !== undefined && isRestart(newest) && newest.state === "failed";
  }

  /** Resolves once the VM is up again, or is meant to be off. Never rejects. */
  async #handle(id: string, signal: AbortSignal): Promise<"up" | "off"> {
    const { starts, clock, table, publish, log } = this.#options;
    const hasRun = this.#ran.delete(id);
    const isWanted = (): boolean => this.#isMeantOn(id, hasRun) === true;
    let isReported = false;
    for (;;) {
      const { waitMs, restartsAtMs, count } = this.#nextRestart(id);
      const vm = table.get(id);
      if (vm === undefined || this.#isMeantOn(id, hasRun) === false) return "off";
      if (restartsAtMs !== undefined && !isReported) {
        isReported = true;
        this.#exhausted += 1;
        const details = { restarts: String(count), restarts_at: new Date(restartsAtMs).toISOString() };
        log.warn({ vm: id, name: vm.name, ...details }, "the VM crashed too often: it stays off for now");
        publish({ kind: "vm_crash_restarts_exhausted", ...about(vm), details });
      }
      if (!(await this.#staysDown(id, waitMs, signal))) return "up";
      const meant = this.#isMeantOn(id, hasRun);
      if (meant === false) return "off";
      if (meant === undefined) {
        if (!(await this.#staysDown(id, BUSY_MS, signal))) return "up";
        continue;
      }
      try {
        const requestId = `${REQUEST}${clock.now()}-${id}`;
        const end = await starts.start({ vm, requestId, cause: "crash", isWanted }, signal);
        if (end === undefined) continue;
        if (end.state === "succeeded") {
          this.#restarts += 1;
          const details = { operation: end.id, restarts: String(this.#restartsOf(id).length) };
          log.warn({ vm: id, name: vm.name, ...details }, "the VM crashed and was started again");
          publish({ kind: "vm_crash_restarted", ...about(table.get(id) ?? vm), details });
          return "up";
        }
        log.warn({ vm: id, name: vm.name, ...failureOf({ operation: end }) }, "a crashed VM did not start");
      } catch (thrown) {
        if (signal.aborted) return "off";
        log.warn({ vm: id, err: toSocleError(thrown) }, "a crashed VM cannot be started now");
        if (!(await this.#staysDown(id, SECOND_AFTER_MS, signal))) return "up";
      }
    }
  }

  /** Waits; false as soon as the VM is no longer off after a crash or a failed start. */
  async #staysDown(id: string, waitMs: number, signal: AbortSignal): Promise<boolean> {
    const { clock, table } = this.#options;
    const over = new AbortController();
    const end = (): void => over.abort();
    signal.addEventListener("abort", end, { once: true });
    try {
      const up = table.until(id, (vm) => !isDown(vm), over.signal).catch(() => undefined);
      return (await within(clock, waitMs, up, signal)) === LATE && !signal.aborted;
    } finally {
      signal.removeEventListener("abort", end);
      over.abort();
    }
  }

  #nextRestart(id: string): { waitMs: number; restartsAtMs?: number; count: number } {
    const { clock, mostPerHour } = this.#options;
    const earlier = this.#restartsOf(id);
    const count = earlier.length;
    const blocking = earlier[mostPerHour - 1];
    if (blocking !== undefined) {
      // The wall clock may have been ahead.
      const waitMs = Math.min(
        Math.max(FIRST_AFTER_MS, blocking.createdAtMs + HOUR_MS - clock.now()),
        HOUR_MS,
      );
      return { waitMs, restartsAtMs: clock.now() + waitMs, count };
    }
    if (count === 0) return { waitMs: FIRST_AFTER_MS, count };
    return { waitMs: Math.min(SECOND_AFTER_MS * 2 ** (count - 1), LONGEST_MS), count };
  }

  /** The agent's restarts of the VM within the last hour, newest first. */
  #restartsOf(id: string): readonly Operation[] {
    const { operations, clock } = this.#options;
    const sinceMs = clock.now() - HOUR_MS;
    return operations
      .admittedFor(id)
      .filter((operation) => isRestart(operation) && operation.createdAtMs > sinceMs);
  }

  /**
   * Whether the VM should run; undefined while an operation on it goes on. `hasRun`: it was seen running until now. Without
   * that and without an operation in the journal, its stop may have been forgotten, and it stays off.
   */
  #isMeantOn(id: string, hasRun: boolean): boolean | undefined {
    const { table, operations } = this.#options;
    const vm = table.get(id);
    if (!isDown(vm) || vm?.managed !== true || vm.rescue !== undefined || vm.spec?.crashPolicy !== "restart")
      return false;
    let isBusy = vm.presence !== "present";
    // In the QEMU that an earlier operation needed.
    let isResumed = false;
    for (const operation of operations.admittedFor(id)) {
      const { kind, state } = operation;
      // A VM that was off, whose QEMU crashed while the operation used it.
      if (foundOff(operation)) return isResumed && (isBusy ? undefined : true);
      // Also a restart that failed shows that the VM should run.
      if ((state === "failed" || state === "cancelled") && !isRestart(operation)) continue;
      // The crash was of the rescue system of a VM that was off before.
      if (kind === "UNRESCUE_VM" && isDone(operation) && operation.result["started"] !== "true") return false;
      if (MEANT_OFF.has(kind)) return false;
      if (kind === "RESUME_VM") isResumed = true;
      if (!isDone(operation)) isBusy = true;
      else if (MEANT_ON.has(kind)) return isBusy ? undefined : true;
    }
    return isBusy ? undefined : hasRun;
  }
}

const isRestart = ({ caller, requestId }: Operation): boolean =>
  caller === AGENT && requestId.startsWith(REQUEST);

/** By libvirt: QEMU died, or the guest's kernel panicked. */
const isCrashed = (vm: Vm | undefined): boolean =>
  vm !== undefined && !isActive(vm) && vm.stateReason === "CRASHED";

/** Also after a start that failed. */
const isDown = (vm: Vm | undefined): boolean =>
  isCrashed(vm) || (vm !== undefined && !isActive(vm) && vm.stateReason === "FAILED");

const about = (vm: Vm): Pick<NewEvent, "vmId" | "vmName" | "vmState" | "reason"> => ({
  vmId: vm.id,
  vmName: vm.name,
  vmState: vm.state,
  reason: vm.stateReason,
});
