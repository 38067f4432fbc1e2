import type { Clock } from "../kernel/clock.ts";
import type { Vm } from "./vm.ts";

/** Who is told what guests prove about KVM. */
export interface KvmVerdicts {
  reportKvmFailure(proof: { readonly vmId: string; readonly evidence: string }): void;
  reportKvmSuccess(): void;
}

/** A guest that KVM stopped this soon after its start never ran properly. */
const SOON_MS = 60_000;
/** A guest that ran this long under KVM shows that it can. */
const LONG_MS = 30_000;

/**
 * Finds out by what happens whether KVM can run guests: /dev/kvm may open, a start may succeed, and the guest still be
 * stopped by an internal error at its first instruction that this KVM cannot do.
 */
export class KvmWitness {
  readonly #verdicts: KvmVerdicts;
  readonly #clock: Clock;
  /** Monotonic start of the guests that are still on trial. */
  readonly #startedAt = new Map<string, number>();

  constructor(verdicts: KvmVerdicts, clock: Clock) {
    this.#verdicts = verdicts;
    this.#clock = clock;
  }

  started(vmId: string): void {
    this.#startedAt.set(vmId, this.#clock.monotonicMs());
  }

  /** A VM in its newest state. */
  saw(vm: Vm): void {
    const startedAt = this.#startedAt.get(vm.id);
    if (startedAt === undefined) return;
    if (vm.state === "stopped" || vm.state === "crashed") this.#startedAt.delete(vm.id);
    if (vm.accelerator !== "kvm" || vm.state !== "paused" || vm.stateReason !== "INTERNAL_ERROR") return;
    this.#startedAt.delete(vm.id);
    const afterMs = this.#clock.monotonicMs() - startedAt;
    if (afterMs > SOON_MS) return;
    const evidence = `VM ${vm.name} was stopped by an internal error of KVM ${(afterMs / 1000).toFixed(1)} s after its start; nobody had asked for it`;
    this.#verdicts.reportKvmFailure({ vmId: vm.id, evidence });
  }

  /** After each round: who runs long enough has passed. */
  sampled(vms: { get(id: string): Vm | undefined }): void {
    const now = this.#clock.monotonicMs();
    for (const [id, startedAt] of this.#startedAt) {
      if (now - startedAt < LONG_MS) continue;
      const vm = vms.get(id);
      if (vm !== undefined && vm.state !== "running") continue;
      this.#startedAt.delete(id);
      if (vm?.accelerator === "kvm") this.#verdicts.reportKvmSuccess();
    }
  }
}
