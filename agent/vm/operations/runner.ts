import { Semaphore } from "../../kernel/concurrency/semaphore.ts";
import { KeyedLock } from "../../kernel/concurrency/keyed-lock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import type { Operation, OperationStep } from "../../state/operations/operation.ts";
import type { Operations, Step } from "../../state/operations/operations.ts";
import { tenantOfCaller } from "../../trust/index.ts";
import { requireNoBackup } from "./backup-refusals.ts";
import type { Taken } from "./creations.ts";
import { resultOf, type Lane, type Result } from "./definition.ts";
import { inTurn } from "./erasure.ts";
import { definitionOf, type AnyDefinition, type Intent } from "./registry.ts";
import { requireRestored } from "../model/unstarted.ts";
import { ownFacts } from "../model/own-facts.ts";
import type { Vm } from "../model/vm.ts";
import type { VmHost } from "../model/vm-host.ts";
import type { KvmProbe } from "../hypervisor/kvm-probe.ts";
import { namedVolumes, type DeviceSpec } from "../model/volume-names.ts";
import { isComplete, requireNewest, requireSameVm } from "../hypervisor/stamps.ts";
import { StopEscalation } from "./stop-escalation.ts";
import { TransferSlots } from "./transfer-slots.ts";
import { beingDeleted } from "../storage/volume-refusals.ts";
import { volumeKey } from "../storage/volume-users.ts";
import {
  withAdvice,
  outcomeUnknown,
  undecided,
  type RunContext,
  type WorkContext,
  type WorkRun,
} from "./work.ts";

interface RunnerOptions extends WorkContext {
  readonly operations: Operations;
  readonly host: Pick<VmHost, "deleted">;
  readonly kvmProbe: Pick<KvmProbe, "suspect">;
}

/** More would only wait for each other in libvirt. */
const MADE_AT_ONCE = 8;

/** Runs operations: those of one VM one at a time, in order, and each on the VM that it was admitted for. */
export class OperationRunner {
  readonly #options: RunnerOptions;
  readonly #context: RunContext;
  /** The queue is as long as the limit of unfinished operations of one VM. */
  readonly #lock = new KeyedLock(64);
  /** Creations and starts take libvirt's time: a few at once, so that stops are served quickly. */
  readonly permits = new Semaphore(MADE_AT_ONCE, 20_000, "heavy operations");
  /** Overwriting takes hours of disk bandwidth: one volume at a time, in a queue of its own. */
  readonly #overwriting = new Semaphore(1, 1000, "the erasure of disks");
  /** They never delay starts. */
  readonly #transfers: TransferSlots;
  readonly #conversions: TransferSlots;
  /** Volumes that are being deleted, with their VM or their image. */
  readonly #beingDeleted = new Set<string>();

  constructor(options: RunnerOptions, creations: () => Iterable<DeviceSpec>) {
    this.#options = options;
    this.#context = { ...options, creations, escalation: new StopEscalation(options.clock) };
    const byTenant = TransferSlots.locks();
    this.#transfers = new TransferSlots("image transfers", byTenant);
    this.#conversions = new TransferSlots("conversions of images", byTenant);
  }

  /** Throws `conflict` VOLUME_IN_USE if a volume that the devices name is being deleted. */
  requireKept(devices: DeviceSpec): void {
    for (const named of namedVolumes(devices))
      if (this.#beingDeleted.has(volumeKey(named))) throw beingDeleted(named);
  }

  /** As StopEscalation.forced. */
  escalate({ id, vmId }: Operation, caller: string, gracefulTimeoutMs: number): void {
    const { operations } = this.#options;
    this.#context.escalation.forced(vmId, caller, gracefulTimeoutMs, () => operations.isWanted(id));
  }

  /** What an operation would do, without an effect. */
  async plan(intent: Intent, vm: Vm, caller: string): Promise<Result> {
    const { plan } = definitionOf(intent.kind);
    return plan === undefined ? {} : await this.permits.run(caller, () => plan(this.#context, intent, vm));
  }

  run(operation: Operation, intent: Intent, resumed: boolean, taken: Taken): void {
    const { operations, kvmProbe, table } = this.#options;
    const definition = definitionOf(intent.kind);
    const { id, vmId, instance, caller, createdAtMs, steps } = operation;
    const hasEnded = (other: string): boolean => operations.hasEnded(other);
    const stepsThat = (ended: OperationStep["outcome"]): Set<string> =>
      new Set(steps.filter(({ outcome }) => outcome === ended).map(({ name }) => name));
    const [done, cutOff] = [stepsThat("done"), stepsThat(undefined)];
    const mayBeHalfDone = resumed && definition.mayLeaveHalf === true;
    const { ended } = operations.run(operation, async (step, signal) => {
      // Only the work knows what an earlier run did: it gets its turn before it is cancelled.
      const untilCancelled = mayBeHalfDone ? undefined : signal;
      const run = {
        operationId: id,
        vmId,
        caller,
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
        return await this.#permitted(caller, laneOf(definition, intent), step, untilCancelled, () =>
          this.#bound(definition, intent, run),
        );
      };
      try {
        await taken.begun();
        const result = await this.#alone(operation, work, ended, untilCancelled);
        taken.ended("made");
        return result;
      } catch (thrown) {
        const error = withAdvice(undecided(toSocleError(thrown), resumed));
        taken.ended(error.kind === "outcome_unknown" ? "unknown" : "not made");
        if (definition.startsUnder?.(intent, table.get(vmId)) === "kvm") await kvmProbe.suspect(vmId, error);
        throw error;
      }
    });
  }

  /** Runs the work exclusively for this VM; the next work begins after this one's end is journaled. */
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
      // The provider's operation is next, however long the tenant's queue for its VM is.
      const order = { ahead: tenantOfCaller(caller) === undefined };
      this.#lock.run(vmId, untilEnded, signal, order).catch(reject);
    });
  }

  /** A resumed operation is retried once the older one has ended; a new one is refused. */
  #requireTurn(operation: Operation, resumed: boolean): void {
    try {
      this.#options.operations.requireTurn(operation, resumed ? "resumed" : "new");
    } catch (thrown) {
      throw resumed ? outcomeUnknown(toSocleError(thrown)) : thrown;
    }
  }

  async #permitted<T>(
    caller: string,
    lane: Lane,
    step: Step,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    if (lane === "erasure") return await inTurn(this.#overwriting, caller, step, signal, work);
    if (lane === "transfer") return await this.#transfers.run(caller, work, signal);
    if (lane === "conversion") return await this.#conversions.run(caller, work, signal);
    return lane === "heavy" ? await this.permits.run(caller, work, signal) : await work();
  }

  /**
   * Runs the work only on the VM that it was admitted for, never on another with its id. A resumed operation has no
   * effect if a later one had an effect, or its own is recorded as complete. A creation and a new deletion check this
   * themselves.
   */
  async #bound(definition: AnyDefinition, intent: Intent, run: WorkRun): Promise<Result> {
    const { stamps } = this.#context.domains;
    const { checksInstance, endState } = definition;
    if (checksInstance === "always" || (checksInstance === "in its first run" && !run.resumed))
      return await this.#do(definition, intent, run);
    if (!run.resumed) {
      const { origin, facts } = await stamps.identity(run.vmId);
      if (origin !== undefined) requireSameVm(run, origin);
      // A backup may have begun since the admission.
      if (definition.notDuringBackup !== undefined) {
        const { backups, unstarted } = ownFacts(facts, run.vmId);
        requireNoBackup(run.vmId, backups, definition, intent);
        if (definition.acceptsUnrestored !== true) requireRestored({ name: run.vmId, unstarted });
      }
      return await this.#do(definition, intent, run);
    }
    const standing = await stamps.standing(run.vmId);
    if (standing !== undefined) {
      requireSameVm(run, standing);
      requireNewest(run, standing);
      if (endState !== undefined && isComplete(run, standing)) return resultOf(endState);
    }
    return await this.#do(definition, intent, { ...run, standing });
  }

  async #do(definition: AnyDefinition, intent: Intent, run: WorkRun): Promise<Result> {
    const removed = definition.removes?.(intent) ?? [];
    // From here on new VMs are refused these volumes; the run sees the VMs that are being created.
    for (const volume of removed) this.#beingDeleted.add(volumeKey(volume));
    try {
      const result = await definition.run(this.#context, intent, run);
      if (removed.length > 0) this.#options.host.deleted(removed);
      return result;
    } finally {
      for (const volume of removed) this.#beingDeleted.delete(volumeKey(volume));
    }
  }
}

const laneOf = ({ lane }: AnyDefinition, intent: Intent): Lane =>
  typeof lane === "function" ? lane(intent) : lane;
