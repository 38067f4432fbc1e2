import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { outcomeUnknown, type WorkContext, type WorkRun } from "./work.ts";

/** For this long, a removal that libvirt refuses is retried. */
export const RETRY_FOR_MS = 60_000;
export const RETRY_EVERY_MS = 1000;

/** The effect of a step, and its removal, which also succeeds without the effect. */
export interface Undo {
  readonly step: string;
  readonly remove: () => Promise<void>;
}

/**
 * Undoes a failed change, last step first, and returns its error. A step that libvirt refuses to undo for a minute keeps the
 * steps before it, which it may depend on; the error names it. If libvirt, or the guest's QEMU, does not answer for that long,
 * throws `outcome_unknown`: half a change is no valid end, and meanwhile a person can settle the operation to stop the VM.
 */
export async function undoAll(
  context: Pick<WorkContext, "log" | "clock">,
  { vmId, step }: Pick<WorkRun, "vmId" | "step">,
  steps: readonly Undo[],
  cause: SocleError,
): Promise<SocleError> {
  const deadlineMs = context.clock.monotonicMs() + RETRY_FOR_MS;
  let gaveUp: SocleError | undefined;
  for (const { step: name, remove } of steps.toReversed()) {
    const undo = async (): Promise<void> => {
      await step.undo(name, remove).catch((thrown: unknown) => {
        const error = toSocleError(thrown);
        gaveUp = isAway(error) && context.clock.monotonicMs() >= deadlineMs ? error : undefined;
        if (gaveUp === undefined) throw thrown;
      });
    };
    const [left] = await retryRemoval(context, vmId, deadlineMs, undo);
    if (gaveUp !== undefined) throw outcomeUnknown(gaveUp);
    if (left !== undefined) return because(cause, `"${name}" could not be undone: ${left}`);
  }
  return cause;
}

export const because = (cause: SocleError, more: string): SocleError =>
  new SocleError(cause.kind, cause.reason, `${cause.message}; ${more}`, { cause, details: cause.details });

export const isAway = ({ kind, reason }: SocleError): boolean =>
  ["unavailable", "timeout", "outcome_unknown"].includes(kind) && reason !== "EFFECT_NOT_OBSERVED";

/** Retries until it succeeds, or libvirt refuses past the deadline; returns the last error. */
export async function retryRemoval(
  { log, clock }: Pick<WorkContext, "log" | "clock">,
  vmId: string,
  deadlineMs: number,
  work: () => Promise<void>,
): Promise<string[]> {
  let logged = "";
  for (;;) {
    const error = await work().then(
      () => undefined,
      (thrown: unknown) => toSocleError(thrown),
    );
    if (error === undefined) return [];
    if (error.reason === "AGENT_STOPPING" || error.reason === "OPERATION_SUPERSEDED") throw error;
    if (error.message !== logged)
      log.warn({ vm: vmId, err: error }, "parts of a failed change could not be removed yet");
    logged = error.message;
    if (!isAway(error) && clock.monotonicMs() >= deadlineMs) return [error.message];
    await clock.sleep(RETRY_EVERY_MS);
  }
}
