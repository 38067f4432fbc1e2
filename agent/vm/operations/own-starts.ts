import { LATE, within } from "../../kernel/concurrency/deadline.ts";
import type { Clock } from "../../kernel/clock.ts";
import { toSocleError } from "../../kernel/errors.ts";
import { isDone, type Operation } from "../../state/operations/operation.ts";
import type { Operations } from "../../state/operations/operations.ts";
import type { Vm } from "../model/vm.ts";
import type { Vms } from "./vms.ts";

/** The caller of operations that the agent begins itself. No identity of the API has this name. */
export const AGENT = "agent";

/** A start that the agent begins itself. */
export interface OwnStart {
  readonly vm: Pick<Vm, "id" | "name" | "tenant">;
  /** At most one start of this id: a repetition gets the same operation. */
  readonly requestId: string;
  readonly cause: "autostart" | "crash";
  /** Checked right before the admission, without another turn of the event loop in between. */
  readonly isWanted: () => boolean;
}

/** How the admission of a start ended, for the audit log. */
export type StartAnswer = { readonly operation: string } | { readonly reason: string };

interface Options {
  readonly vms: Pick<Vms, "begin">;
  readonly operations: Pick<Operations, "wait">;
  /** Resolves once the start is in the audit log; the returned function records the answer. */
  readonly admit: (start: OwnStart) => Promise<(answer: StartAnswer) => void>;
  readonly clock: Clock;
}

/** Longer than any start takes while libvirt answers. */
const END_WITHIN_MS = 600_000;

/** Starts VMs on the agent's own initiative, by ordinary operations that are audited as the agent's. */
export class OwnStarts {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * The operation once it has ended, or as it is after ten minutes. Undefined: it is not wanted any more. Throws what
   * `Vms.begin` and the audit log throw, and the signal's reason.
   */
  async start(start: OwnStart, signal: AbortSignal): Promise<Operation | undefined> {
    const { vms, operations, admit, clock } = this.#options;
    const { vm, requestId, isWanted } = start;
    const answered = await admit(start);
    let begun: Operation;
    if (!isWanted()) {
      answered({ reason: "NOT_WANTED" });
      return undefined;
    }
    try {
      begun = await vms.begin("START_VM", { requestId, vm: vm.id, placementEpoch: 0 }, AGENT);
      answered({ operation: begun.id });
    } catch (thrown) {
      answered({ reason: toSocleError(thrown).reason });
      throw thrown;
    }
    if (isDone(begun)) return begun;
    const ended = operations.wait(begun.id, END_WITHIN_MS, signal);
    const end = await within(clock, END_WITHIN_MS, ended, signal);
    signal.throwIfAborted();
    return end === LATE ? begun : end;
  }
}

/** Why a start failed, for its event; the operation has more. */
export const failureOf = (
  failed: { readonly operation: Operation } | { readonly thrown: unknown },
): { readonly reason: string; readonly details: Readonly<Record<string, string>> } =>
  "thrown" in failed
    ? { reason: toSocleError(failed.thrown).reason, details: {} }
    : {
        reason: failed.operation.error?.reason ?? "NOT_ENDED",
        details: { operation: failed.operation.id },
      };
