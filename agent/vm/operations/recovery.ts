import type { Clock } from "../../kernel/clock.ts";
import { isUncertain, toSocleError } from "../../kernel/errors.ts";
import type { Logger } from "../../kernel/log.ts";
import type { Service } from "../../kernel/lifecycle/service.ts";
import { isDone, waitsForPerson, type Operation } from "../../state/operations/operation.ts";
import type { Operations } from "../../state/operations/operations.ts";
import type { Watermark } from "../../state/records/watermark.ts";
import type { VmTable } from "../observation/vm-table.ts";
import type { Vms } from "./vms.ts";

export interface SettlerOptions {
  readonly operations: Operations;
  /** Without it no operation is outdated. */
  readonly watermark?: Pick<Watermark, "isOutdated">;
  readonly vms: Vms;
  readonly table: VmTable;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Interval between looks at an operation of unknown outcome. */
const AGAIN_MS = 5000;
/** Of one that waits for a person. */
const DECIDED_MS = 60_000;

/**
 * Settles unfinished operations: at start those that a crash interrupted, and later those whose outcome stayed unknown,
 * whenever libvirt answers. The outcome is read from libvirt, never guessed.
 */
export class Settler implements Service {
  readonly name = "settler";
  readonly #options: SettlerOptions;
  /** Operations scheduled for another look. */
  readonly #waiting = new Set<string>();

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal, ready: () => void): Promise<void> {
    const { operations, table } = this.#options;
    ready();
    const changes = operations.watch(signal);
    try {
      await table.untilComplete(signal);
    } catch {
      return;
    }
    await operations.untilPermitted(signal);
    if (signal.aborted) return;
    for (const operation of operations.interrupted) void this.#resume(operation.id, signal);
    for await (const change of changes) {
      if (change.kind === "overflow") this.#allUnknownLater(signal);
      else if (change.value.state === "outcome_unknown") void this.#later(change.value, signal);
    }
  }

  /** Schedules at most one look per operation. */
  async #later(operation: Operation, signal: AbortSignal): Promise<void> {
    const { id } = operation;
    if (this.#waiting.has(id)) return;
    this.#waiting.add(id);
    try {
      await this.#options.clock.sleep(waitsForPerson(operation) ? DECIDED_MS : AGAIN_MS, signal);
      await this.#options.table.untilComplete(signal);
      await this.#options.operations.untilPermitted(signal);
      signal.throwIfAborted();
    } catch {
      return; // The agent stops: the next start settles it.
    } finally {
      this.#waiting.delete(id);
    }
    await this.#resume(id, signal);
  }

  #allUnknownLater(signal: AbortSignal): void {
    for (const operation of this.#options.operations.list({ onlyRunning: true, limit: 10_000 })) {
      if (operation.state === "outcome_unknown") void this.#later(operation, signal);
    }
  }

  async #resume(id: string, signal: AbortSignal): Promise<void> {
    const { log, operations, vms, watermark } = this.#options;
    try {
      const operation = operations.get(id);
      if (isDone(operation)) return; // A person was faster.
      if (watermark?.isOutdated(id) === true) {
        await this.#endOutdated(operation, signal);
        return;
      }
      // Its work is over: repeating it could act on a later change.
      if (await vms.endAgain(operation)) return;
      log.info(
        { operation: id, kind: operation.kind, vm: operation.vmId },
        "settling an unfinished operation",
      );
      vms.resumeOperation(operation);
    } catch (thrown) {
      if (toSocleError(thrown).reason === "OPERATION_ENDED") return; // A person was faster.
      // The journal logs its own failure once; libvirt's absence is logged by its connection.
      const isKnown = operations.failure !== undefined || isUncertain(thrown);
      const level = isKnown ? "debug" : "error";
      log[level]({ operation: id, err: thrown }, "an unfinished operation cannot be settled now");
    }
  }

  async #endOutdated(operation: Operation, signal: AbortSignal): Promise<void> {
    const { log, vms } = this.#options;
    try {
      const { id, state, error } = await vms.endOutdated(operation);
      log.warn(
        { operation: id, vm: operation.vmId, state, reason: error?.reason },
        "an outdated operation ended",
      );
    } catch (thrown) {
      if (toSocleError(thrown).reason === "OPERATION_ENDED") return; // A person has settled it.
      log.debug({ operation: operation.id, err: thrown }, "an outdated operation cannot be closed now");
      void this.#later(operation, signal);
    }
  }
}
