import type { Clock } from "../../kernel/clock.ts";
import { culpritOf, type Culprit } from "./start-fault.ts";
import type { Vm } from "../model/vm.ts";

/** Receives the evidence that guests give about KVM. */
export interface KvmVerdicts {
  /** KVM stopped a guest soon after its start, and no other guest shows that it works. */
  reportKvmFailure(proof: Culprit & { readonly evidence: string }): void;
  /** Not even a minimal guest could be started under KVM. */
  reportKvmStartFailure(proof: { readonly vmId: string; readonly evidence: string }): void;
  /** Number of guests that run well under KVM now; `isNew`: at least one started recently. */
  reportKvmSuccess(proof: { readonly running: number; readonly isNew: boolean }): void;
}

/** A guest that KVM stopped this soon after its start never ran properly. */
const SOON_MS = 60_000;
/** A guest that ran this long under KVM shows that it can. */
const LONG_MS = 30_000;

/**
 * Finds out by observation whether KVM can run guests. /dev/kvm may open and a start may succeed, and KVM may still
 * stop the guest with an internal error at an instruction that it cannot run. A guest can cause that error itself:
 * while others run under the same KVM, the guest is at fault, not the host.
 */
export class KvmWitness {
  readonly #verdicts: KvmVerdicts;
  readonly #clock: Clock;
  /** Monotonic start times of guests that have not run long enough yet. */
  readonly #startedAt = new Map<string, number>();
  /** By VM: the monotonic time since when it is known to run under KVM. */
  #runningSince = new Map<string, number>();

  constructor(verdicts: KvmVerdicts, clock: Clock) {
    this.#verdicts = verdicts;
    this.#clock = clock;
  }

  started(vmId: string): void {
    this.#startedAt.set(vmId, this.#clock.monotonicMs());
    this.#runningSince.delete(vmId);
  }

  /** Records a VM in its newest state. */
  saw(vm: Vm): void {
    if (vm.state !== "running") this.#runningSince.delete(vm.id);
    const startedAt = this.#startedAt.get(vm.id);
    if (startedAt === undefined) return;
    if (vm.state === "stopped" || vm.state === "crashed") this.#startedAt.delete(vm.id);
    if (vm.accelerator !== "kvm" || vm.state !== "paused" || vm.stateReason !== "INTERNAL_ERROR") return;
    this.#startedAt.delete(vm.id);
    const afterMs = this.#clock.monotonicMs() - startedAt;
    if (afterMs > SOON_MS || this.#runningWell() > 0) return;
    const evidence = `VM ${vm.name} was stopped by an internal error of KVM ${(afterMs / 1000).toFixed(1)} s after its start, without a request; no other guest shows that KVM works`;
    const culprit =
      vm.spec === undefined ? { vmId: vm.id, tenant: vm.tenant, image: vm.id } : culpritOf(vm.spec);
    this.#verdicts.reportKvmFailure({ ...culprit, evidence });
  }

  /** After each complete round: a guest that has run long enough is evidence for KVM while it runs. */
  sampled(vms: { all(): readonly Vm[] }): void {
    const now = this.#clock.monotonicMs();
    const all = new Map(vms.all().map((vm) => [vm.id, vm]));
    const running = [...all.values()].filter(
      ({ accelerator, state, presence }) =>
        accelerator === "kvm" && state === "running" && presence === "present",
    );
    this.#runningSince = new Map(
      running.map(({ id }) => [id, this.#runningSince.get(id) ?? this.#startedAt.get(id) ?? now]),
    );
    let isNew = false;
    for (const [id, startedAt] of this.#startedAt) {
      if (now - startedAt < LONG_MS) continue;
      const vm = all.get(id);
      if (vm !== undefined && vm.state !== "running") continue;
      this.#startedAt.delete(id);
      isNew ||= vm?.accelerator === "kvm";
    }
    const runningWell = this.#runningWell();
    if (runningWell > 0) this.#verdicts.reportKvmSuccess({ running: runningWell, isNew });
  }

  #runningWell(): number {
    const now = this.#clock.monotonicMs();
    return [...this.#runningSince.values()].filter((since) => now - since >= LONG_MS).length;
  }
}
