import { toSocleError } from "../kernel/errors.ts";
import { interrupted, type WorkContext, type WorkRun } from "./work.ts";

// A guest that was stopped and started again is the same VM in another run. What ends a run marks it before.

const MARKED = "mark run";
/** The run could not be marked: libvirt's number of it is on record. */
const NUMBERED = "note run";

/**
 * Whether the guest is in the run that the operation is about: marks it at first, on the guest and then in the journal.
 * False: that run has ended since. Throws `unavailable` INTERRUPTED where an interrupted operation had not marked it yet,
 * and so had no effect.
 */
export async function holdsRun(context: WorkContext, run: WorkRun, again: string): Promise<boolean> {
  const { resumed, standing, operationId, done } = run;
  if (!resumed) return await mark(context, run);
  const { live, runNumber } = standing ?? {};
  if (live?.operation === operationId && live.phase === "run") return true;
  if (done.has(`${NUMBERED} ${runNumber}`)) return true;
  if (hasMarkedRun(run)) return false;
  throw interrupted(again);
}

/** An earlier run of the operation may have had an effect. */
export const hasMarkedRun = ({ done }: Pick<WorkRun, "done">): boolean =>
  [...done].some((name) => name.startsWith(MARKED) || name.startsWith(NUMBERED));

async function mark({ domains, table, log }: WorkContext, run: WorkRun): Promise<boolean> {
  const { vmId, operationId, step } = run;
  const runNumber = await domains.stamps.runNumber(vmId);
  if (runNumber === undefined) return false;
  let isMarked = false;
  // A guest that hangs may hold what marking needs, and must be stoppable all the same.
  if (table.get(vmId)?.stats?.unresponsive !== true)
    try {
      await domains.stamps.mark(vmId, { operation: operationId, phase: "run" });
      isMarked = true;
    } catch (thrown) {
      log.warn(
        { vm: vmId, operation: operationId, err: toSocleError(thrown) },
        "the guest's run could not be marked",
      );
    }
  await step.durable(`${isMarked ? MARKED : NUMBERED} ${runNumber}`, () => Promise.resolve(), 0);
  return true;
}

/** Before an effect that does not end the guest's run: an older operation must not act on it after this one. */
export async function stampRun({ domains, log }: WorkContext, { vmId, operationId }: WorkRun): Promise<void> {
  await domains.stamps.mark(vmId, { operation: operationId, phase: "begun" }).catch((thrown: unknown) => {
    log.warn({ vm: vmId, operation: operationId, err: toSocleError(thrown) }, "the VM could not be stamped");
  });
}

/** After the effect, which needs no stamp to be true: the stamp spares a resumed operation from having it again. */
export async function stampComplete(
  { domains, log }: WorkContext,
  { vmId, operationId }: WorkRun,
  isActive: boolean,
): Promise<void> {
  await domains.stamps.complete(vmId, operationId, isActive).catch((thrown: unknown) => {
    log.warn({ vm: vmId, operation: operationId, err: toSocleError(thrown) }, "the VM could not be stamped");
  });
}
