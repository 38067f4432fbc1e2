import { toSocleError } from "../../kernel/errors.ts";
import { isActive } from "../hypervisor/domains.ts";
import type { Standing } from "../hypervisor/stamps.ts";
import type { Cut } from "./stop-escalation.ts";
import { interrupted, type WorkContext, type WorkRun } from "./work.ts";

// A guest that was stopped and started again is the same VM in another run. An operation marks a run before ending it.

const MARKED = "mark run";
/** The run could not be marked: the journal has libvirt's id of it. */
const NUMBERED = "note run";

/** Identifies a run of the guest: the operation's mark on it, else libvirt's domain id within one numbering. */
type GuestRun = "marked" | { readonly number: number; readonly numbering: string };

/**
 * The run of the guest that the operation applies to: marks it on the guest, then in the journal. Undefined: that run
 * has ended since. Throws `unavailable` INTERRUPTED if an interrupted operation had not marked it yet, and so had no
 * effect.
 */
export async function holdsRun(
  context: WorkContext,
  run: WorkRun,
  again: string,
): Promise<GuestRun | undefined> {
  const { resumed, standing, done } = run;
  if (!resumed) return await mark(context, run);
  if (isMarkedBy(run, standing)) return "marked";
  const number = standing?.runNumber;
  const { numbering } = context.domains.stamps;
  if (number !== undefined && done.has(nameOf({ number, numbering }))) return { number, numbering };
  // Equal numbers of two numberings may be different runs.
  if ([...done].some((name) => name.startsWith(NUMBERED) && !name.endsWith(numbering)))
    throw interrupted(again);
  if (hasMarkedRun(run)) return undefined;
  throw interrupted(again);
}

const nameOf = ({ number, numbering }: Exclude<GuestRun, string>): string =>
  `${NUMBERED} ${number} of ${numbering}`;

/**
 * Whether libvirt reports the guest as active in this run. Throws `unavailable` INTERRUPTED if libvirt may have
 * restarted its run numbers since.
 */
export async function isInRun({ domains }: WorkContext, run: WorkRun, guestRun: GuestRun): Promise<boolean> {
  if (!isActive(await domains.state(run.vmId))) return false;
  const standing = await domains.stamps.standing(run.vmId);
  if (guestRun === "marked") return isMarkedBy(run, standing);
  if (domains.stamps.numbering !== guestRun.numbering)
    throw interrupted("check the VM, then repeat the request");
  return standing?.runNumber === guestRun.number;
}

const isMarkedBy = ({ operationId }: Pick<WorkRun, "operationId">, standing: Standing | undefined): boolean =>
  standing?.live?.operation === operationId && standing.live.phase === "run";

/** An earlier run of the operation may have had an effect. */
export const hasMarkedRun = ({ done }: Pick<WorkRun, "done">): boolean =>
  [...done].some((name) => name.startsWith(MARKED) || name.startsWith(NUMBERED));

async function mark({ domains, table, log }: WorkContext, run: WorkRun): Promise<GuestRun | undefined> {
  const { vmId, operationId, step } = run;
  // Read before the mark can time out: the number must not be that of a run started meanwhile.
  const { numbering } = domains.stamps;
  const numberRead = domains.stamps.runNumber(vmId);
  numberRead.catch(() => undefined);
  // A hung guest may hold the job that marking needs, and must still be stoppable.
  if (table.get(vmId)?.stats?.unresponsive !== true)
    try {
      // In a step, since a superseded operation must not mark the run either.
      const mark = () => domains.stamps.mark(vmId, { operation: operationId, phase: "run" });
      await step.durable(MARKED, mark, 0);
      return "marked";
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (!error.reason.startsWith("LIBVIRT_")) throw thrown;
      log.warn({ vm: vmId, operation: operationId, err: error }, "the guest's run could not be marked");
    }
  const runNumber = await numberRead;
  if (runNumber === undefined) return undefined;
  const numbered = { number: runNumber, numbering };
  await step.durable(nameOf(numbered), () => Promise.resolve(), 0);
  return numbered;
}

/** Stamps the run before an effect that does not end it: an older operation must not act on the run later. */
export async function stampRun(context: WorkContext, run: WorkRun): Promise<void> {
  const { vmId, operationId, step } = run;
  step.requireOpen();
  const stamp = { operation: operationId, phase: "begun" } as const;
  await orWarn(context, run, context.domains.stamps.mark(vmId, stamp));
}

/** Stamps the run after the effect. The effect holds without it; the stamp keeps a resumed operation from repeating it. */
export async function stampComplete(context: WorkContext, run: WorkRun, isActive: boolean): Promise<void> {
  await orWarn(context, run, context.domains.stamps.complete(run.vmId, run.operationId, isActive));
}

const orWarn = (
  { log }: WorkContext,
  { vmId, operationId }: WorkRun,
  stamped: Promise<void>,
): Promise<void> =>
  stamped.catch((thrown: unknown) => {
    log.warn({ vm: vmId, operation: operationId, err: toSocleError(thrown) }, "the VM could not be stamped");
  });

/** Ends the guest's run once a forced stop is wanted: a QEMU that hangs would hold the VM until the deadline of `work`. */
export function endOnForcedStop(
  { domains, log }: WorkContext,
  vmId: string,
  { signal, isWanted }: Cut,
  work: string,
): void {
  const requireWanted = (): void => {
    if (!isWanted()) throw new Error("the forced stop was cancelled");
  };
  const end = async (): Promise<void> => {
    try {
      await domains.destroy(vmId, { requireWanted });
    } catch (thrown) {
      log.warn({ vm: vmId, err: toSocleError(thrown) }, `a forced stop did not end ${work}`);
    }
  };
  signal.addEventListener("abort", () => void end(), { once: true });
}
