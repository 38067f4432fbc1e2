import * as z from "../../kernel/zod.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import { within } from "../../kernel/concurrency/deadline.ts";
import { succeeds } from "../../kernel/thrown.ts";
import { isActive } from "../hypervisor/domains.ts";
import type { Vm } from "../model/vm.ts";
import { endBackupQemu, isSeenForBackup } from "./backup-qemu.ts";
import { defineOperation } from "./definition.ts";
import { holdsRun, isInRun, stampComplete } from "./guest-run.ts";
import type { Cut } from "./stop-escalation.ts";
import { known } from "./vm-state.ts";
import { seen, type WorkContext, type WorkRun } from "./work.ts";

/** A guest that is booting misses the power button: the request is repeated at this interval. */
const ASK_AGAIN_MS = 10_000;
/** How long the table may take to catch up with libvirt. */
const LOOK_AGAIN_MS = 250;
/** How long to wait for a guest that is known not to answer: it may answer again soon. */
const UNRESPONSIVE_GRACE_MS = 10_000;
interface StopRequest {
  /** Undefined: the host's configuration decides. */
  readonly gracefulTimeoutMs?: number | undefined;
  readonly force: boolean;
}

const intent = z.object({ gracefulTimeoutMs: z.number(), force: z.boolean() });
type StopIntent = z.output<typeof intent>;

export const stopVm = defineOperation({
  kind: "STOP_VM",
  acceptsRescued: true,
  intent,
  lane: "command",
  urgent: true,
  acceptsUnreadable: true,
  endState: "stopped",
  cutsStopAfterMs: ({ force, gracefulTimeoutMs }: StopRequest, { gracefulStopMs }) =>
    force ? (gracefulTimeoutMs ?? gracefulStopMs) : undefined,
  /** Throws `invalid` FORCE_REQUIRED for no time without force. */
  admit({ force, gracefulTimeoutMs }: StopRequest, vm, { policy: { gracefulStopMs } }) {
    if (gracefulTimeoutMs === 0 && !force) throw forceRequired();
    return {
      gracefulTimeoutMs: gracefulTimeoutMs ?? (force ? graceOf(vm, gracefulStopMs) : gracefulStopMs),
      force,
    };
  },
  run: (context, intent, run) =>
    context.escalation.during(run.vmId, run.caller, (cut) => stop(cut)(context, intent, run)),
});

/** The default grace period of a forced stop: a guest that cannot receive the request gets less than `usualMs`. */
export const graceOf = ({ state, stats }: Pick<Vm, "state" | "stats">, usualMs: number): number =>
  state === "paused" || stats?.unresponsive === true ? Math.min(UNRESPONSIVE_GRACE_MS, usualMs) : usualMs;

/**
 * Requests a shutdown, and repeats it while waiting; at the deadline powers the guest off if forced, else fails and
 * leaves it running. `cut`: the forced stops that may end the wait early.
 */
const stop = (cut: Cut) => {
  return async (context: WorkContext, { gracefulTimeoutMs, force }: StopIntent, run: WorkRun) => {
    const { domains } = context;
    const { vmId, step, signal } = run;
    const before = await known(context, vmId);
    if (!isActive(before)) return { state: "stopped", stopped_by: "already" };
    // It runs no guest that could be asked.
    if (isSeenForBackup(context.table.get(vmId)) && (await endBackupQemu(context, run))) {
      await stampComplete(context, run, false);
      await seen(context, vmId, (vm) => !isActive(vm));
      return { state: "stopped", stopped_by: "already" };
    }
    // A client that started the VM again did not request the end of that run.
    const guestRun = await holdsRun(context, run, "stop the VM again if it should be off");
    if (guestRun === undefined) return { state: "stopped", stopped_by: "unknown" };
    const isOver = async (): Promise<boolean> => !(await isInRun(context, run, guestRun));
    // Without force only the guest decides, also for operations that an earlier version admitted without a grace period.
    let deaf: SocleError | undefined;
    if (gracefulTimeoutMs > 0 || !force) {
      deaf = await step(
        "ask guest",
        () => requestStop(context, run, isOver, gracefulTimeoutMs, AbortSignal.any([signal, cut.signal])),
        0.6,
      );
      if (deaf === undefined) {
        await stampComplete(context, run, false);
        return { state: "stopped", stopped_by: "guest" };
      }
      if (await isOver()) return { state: "stopped", stopped_by: "unknown" };
      signal.throwIfAborted();
    }
    // Also checked right before the power-off: the forced stop may be cancelled at any time.
    const requireForce = (): void => {
      if (deaf !== undefined && !force && !cut.isWanted()) throw deaf;
    };
    requireForce();
    await step("pull plug", () => domains.destroy(vmId, { isOver, requireWanted: requireForce }), 0.3);
    await stampComplete(context, run, false);
    await seen(context, vmId, (vm) => !isActive(vm));
    return { state: "stopped", stopped_by: "force" };
  };
};

/**
 * Repeats the request until the guest has stopped, the time is over or the signal aborts; returns why it did not stop.
 * A guest that cannot take the request (paused, hung, without an agent) does not stop. `isOver`: from libvirt, since
 * the table may be older than the run.
 */
async function requestStop(
  { domains, table, clock }: WorkContext,
  { vmId, step }: Pick<WorkRun, "vmId" | "step">,
  isOver: () => Promise<boolean>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<SocleError | undefined> {
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal]);
  const seenStopped = (): Promise<boolean> =>
    succeeds(table.until(vmId, (vm) => vm !== undefined && !isActive(vm), until));
  let stopped = seenStopped();
  const beganMs = clock.monotonicMs();
  let askAtMs = beganMs;
  const deadlineMs = askAtMs + timeoutMs;
  let refusal: unknown;
  let asking: Promise<void> | undefined;
  const ask = async (): Promise<void> => {
    refusal = undefined;
    await domains.shutdown(vmId).catch((thrown: unknown) => (refusal = thrown));
    asking = undefined;
  };
  try {
    for (;;) {
      if (clock.monotonicMs() >= askAtMs) {
        // Another agent may control libvirt by now.
        step.requireOpen();
        // A hung guest delays the request: the time runs meanwhile.
        asking ??= ask();
        askAtMs = clock.monotonicMs() + ASK_AGAIN_MS;
      }
      const leftMs = Math.min(deadlineMs, askAtMs) - clock.monotonicMs();
      if ((await within(clock, Math.max(0, leftMs), stopped)) === true) {
        if (await isOver()) {
          // A late effect must not reach the next run.
          await asking;
          return undefined;
        }
        await clock.sleep(LOOK_AGAIN_MS, signal).catch(() => undefined);
        stopped = seenStopped();
      }
      if (signal.aborted || clock.monotonicMs() >= deadlineMs) break;
    }
  } finally {
    over.abort();
  }
  // The table may be out of date: libvirt decides.
  const waitedMs = Math.min(timeoutMs, clock.monotonicMs() - beganMs);
  return (await isOver()) ? undefined : didNotStop(waitedMs, refusal);
}

function forceRequired(): SocleError {
  const message =
    "graceful_timeout is 0 without force: only force cuts the power of a guest. Set force, or allow time";
  const fields = { graceful_timeout: "must be more than 0 without force" };
  return new SocleError("invalid", "FORCE_REQUIRED", message, { details: { fields } });
}

function didNotStop(afterMs: number, refusal: unknown): SocleError {
  const why = refusal === undefined ? "" : ` (it did not take the request: ${toSocleError(refusal).message})`;
  const message = `the guest did not stop within ${Math.round(afterMs / 100) / 10} s and still runs${why}; stop it with force to power it off`;
  return new SocleError("timeout", "GUEST_DID_NOT_STOP", message, { cause: refusal });
}
