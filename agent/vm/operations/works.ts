import { FairPlaces } from "../../kernel/concurrency/fair-places.ts";
import { KeyedLock } from "../../kernel/concurrency/keyed-lock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { Operation, OperationStep } from "../../state/operations/operation.ts";
import type { Operations, Step } from "../../state/operations/operations.ts";
import { tenantOfCaller } from "../../trust/index.ts";
import { createWork } from "./create.ts";
import type { Taken } from "./creations.ts";
import { deleteWork } from "./delete.ts";
import { inTurn, overwrites } from "./erasure.ts";
import type { HostDoor } from "../model/vm-host.ts";
import type { KvmProbe } from "../hypervisor/kvm-probe.ts";
import { pauseWork, rebootWork, resumeWork, startWork, stopWork } from "./power.ts";
import type { VmSpec, VolumeRef } from "../model/spec.ts";
import { isComplete, requireNewest, requireSameVm } from "../hypervisor/stamps.ts";
import { StopEscalation } from "./stop-escalation.ts";
import { volumeKey } from "../storage/volume-users.ts";
import {
  ofSilence,
  outcomeUnknown,
  stateAfter,
  undecided,
  type Intent,
  type WorkContext,
  type WorkRun,
} from "./work.ts";

interface WorksOptions extends WorkContext {
  readonly operations: Operations;
  readonly host: Pick<HostDoor, "deleted">;
  readonly kvmProbe: Pick<KvmProbe, "suspect">;
}

type Result = Record<string, string>;

/** More would only wait for each other in libvirt. */
const MADE_AT_ONCE = 8;

/** Does the works of operations: of one VM one at a time, in order, and each on the VM that it was admitted for. */
export class Works {
  readonly #options: WorksOptions;
  /** The VMs that are being made. */
  readonly #creations: () => Iterable<VmSpec>;
  /** As many wait as operations of one VM may be under way. */
  readonly #lock = new KeyedLock({ maxWaiting: 64 });
  /** What makes VMs run takes libvirt's time: a few at once, so that what stops them finds it free. */
  readonly #places = new FairPlaces({ places: MADE_AT_ONCE, maxWaiting: 20_000 });
  /** Overwriting takes hours of disk bandwidth: one volume at a time, in a queue of its own. */
  readonly #overwriting = new FairPlaces({ places: 1, maxWaiting: 1000 });
  /** Volumes that are being deleted with their VM. */
  readonly #going = new Set<string>();
  readonly #escalation: StopEscalation;

  constructor(options: WorksOptions, creations: () => Iterable<VmSpec>) {
    this.#options = options;
    this.#creations = creations;
    this.#escalation = new StopEscalation(options.clock);
  }

  /** How many have a place in which VMs are made, started or deleted, and how many wait for one. */
  get places(): { readonly taken: number; readonly waiting: number } {
    return this.#places;
  }

  isGoing(volume: VolumeRef): boolean {
    return this.#going.has(volumeKey(volume));
  }

  /** As StopEscalation.forced. */
  escalate({ id, vmId }: Operation, caller: string, gracefulTimeoutMs: number): void {
    const { operations } = this.#options;
    this.#escalation.forced(vmId, caller, gracefulTimeoutMs, () => operations.isWanted(id));
  }

  async inPlace<T>(caller: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return await this.#places.run(caller, work, signal);
  }

  run(operation: Operation, intent: Intent, resumed: boolean, taken: Taken): void {
    const { operations, kvmProbe } = this.#options;
    const { id, vmId, instance, caller, createdAtMs, steps } = operation;
    const hasEnded = (other: string): boolean => operations.hasEnded(other);
    const stepsThat = (ended: OperationStep["outcome"]): Set<string> =>
      new Set(steps.filter(({ outcome }) => outcome === ended).map(({ name }) => name));
    const [done, cutOff] = [stepsThat("done"), stepsThat(undefined)];
    const mayBeHalfDone = resumed && (intent.kind === "CREATE_VM" || intent.kind === "DELETE_VM");
    const { ended } = operations.run(operation, async (step, signal) => {
      // What an earlier run did the work alone knows: it has its turn before it is cancelled.
      const untilCancelled = mayBeHalfDone ? undefined : signal;
      const run = {
        operationId: id,
        vmId,
        instance,
        createdAtMs,
        hasEnded,
        step,
        signal,
        resumed,
        done,
        cutOff,
      };
      const work = async (): Promise<Result> => {
        this.#requireTurn(operation, resumed);
        return await this.#placed(operation, intent, step, untilCancelled, () =>
          this.#bound(intent, caller, run),
        );
      };
      try {
        await taken.begun();
        const result = await this.#alone(operation, work, ended, untilCancelled);
        taken.ended("made");
        return result;
      } catch (thrown) {
        const error = ofSilence(undecided(toSocleError(thrown), resumed));
        taken.ended(error.kind === "outcome_unknown" ? "unknown" : "not made");
        if (this.#startsUnderKvm(vmId, intent)) await kvmProbe.suspect(vmId, error);
        throw error;
      }
    });
  }

  /** Does the work while no other of this VM is done, nor begins before its end is written. */
  async #alone<T>(
    { vmId, caller }: Pick<Operation, "vmId" | "caller">,
    work: () => Promise<T>,
    ended: Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    return await new Promise((resolve, reject) => {
      const untilEnded = async (): Promise<void> => {
        await work().then(resolve, reject);
        await ended;
      };
      // However much a tenant has queued for its VM, the provider's operation is the next.
      const order = { ahead: tenantOfCaller(caller) === undefined };
      this.#lock.run(vmId, untilEnded, signal, order).catch(reject);
    });
  }

  /** A resumed one comes again once the older one has an end; a new one is refused. */
  #requireTurn(operation: Operation, resumed: boolean): void {
    try {
      this.#options.operations.requireTurn(operation, resumed ? "resumed" : "new");
    } catch (thrown) {
      throw resumed ? outcomeUnknown(toSocleError(thrown)) : thrown;
    }
  }

  async #placed<T>(
    { kind, caller }: Pick<Operation, "kind" | "caller">,
    intent: Intent,
    step: Step,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    if (overwrites(intent)) return await inTurn(this.#overwriting, caller, step, signal, work);
    const isHeavy = kind === "CREATE_VM" || kind === "START_VM" || kind === "DELETE_VM";
    return isHeavy ? await this.#places.run(caller, work, signal) : await work();
  }

  #startsUnderKvm(vmId: string, intent: Intent): boolean {
    if (intent.kind === "CREATE_VM") return intent.accelerator === "kvm";
    return intent.kind === "START_VM" && this.#options.table.get(vmId)?.accelerator === "kvm";
  }

  /**
   * Does the work on the VM that it was admitted for, and on no other that has its id. A resumed one has no effect either
   * where a later operation had one, or where its own is on record as whole. A creation and a new deletion check this
   * themselves.
   */
  async #bound(intent: Intent, caller: string, run: WorkRun): Promise<Result> {
    const { stamps } = this.#options.domains;
    if (intent.kind === "CREATE_VM" || (intent.kind === "DELETE_VM" && !run.resumed))
      return await this.#do(intent, caller, run);
    if (!run.resumed) {
      const origin = await stamps.origin(run.vmId);
      if (origin !== undefined) requireSameVm(run, origin);
      return await this.#do(intent, caller, run);
    }
    const standing = await stamps.standing(run.vmId);
    if (standing !== undefined) {
      requireSameVm(run, standing);
      requireNewest(run, standing);
      if (isComplete(run, standing) && intent.kind !== "DELETE_VM") return { state: stateAfter[intent.kind] };
    }
    return await this.#do(intent, caller, { ...run, standing });
  }

  async #do(intent: Intent, caller: string, run: WorkRun): Promise<Result> {
    const context = this.#options;
    switch (intent.kind) {
      case "CREATE_VM":
        return await createWork(this.#creations)(context, intent, run);
      case "START_VM":
        return await startWork(context, intent, run);
      case "STOP_VM":
        return await this.#escalation.during(run.vmId, caller, (cut) => stopWork(cut)(context, intent, run));
      case "REBOOT_VM":
        return await rebootWork(context, intent, run);
      case "PAUSE_VM":
        return await pauseWork(context, intent, run);
      case "RESUME_VM":
        return await resumeWork(context, intent, run);
      case "DELETE_VM": {
        // From here on they are refused to new VMs; those in the making by now are seen by the work.
        const volumes = intent.volumes.map(volumeKey);
        for (const volume of volumes) this.#going.add(volume);
        try {
          const result = await deleteWork(this.#creations)(context, intent, run);
          context.host.deleted(intent.volumes);
          return result;
        } finally {
          for (const volume of volumes) this.#going.delete(volume);
        }
      }
    }
  }
}
