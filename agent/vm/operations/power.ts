import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { VmMetadata } from "../../libvirt/xml/index.ts";
import { isActive } from "../hypervisor/domains.ts";
import { holdsRun, isInRun, stampComplete, stampRun } from "./guest-run.ts";
import { keyedParts } from "../model/sealed-keys.ts";
import type { VmSpec } from "../model/spec.ts";
import { culpritOf } from "../hypervisor/start-fault.ts";
import type { Cut } from "./stop-escalation.ts";
import type { Vm, VmState } from "../model/vm.ts";
import { volumeName } from "../model/volume-names.ts";
import { requireDisksFree } from "../storage/volume-users.ts";
import { interrupted, seen, SEEN_WITHIN_MS, type Work, type WorkContext, type WorkRun } from "./work.ts";

/** A guest that was busy booting misses the power button: it is pressed again this often. */
const ASK_AGAIN_MS = 10_000;
/** Where the table is behind libvirt: how long it has to catch up. */
const LOOK_AGAIN_MS = 250;
/** How long one is waited for that is known not to answer: what held it up may have been a moment. */
const DEAF_GRACE_MS = 10_000;
/** More than libvirt takes to say that a pool's storage does not answer. */
const LOOK_FOR_MS = 60_000;

export const startWork: Work<"START_VM"> = async (context, { placementEpoch }, run) => {
  const { domains, table, volumes } = context;
  const { vmId, operationId, step, resumed } = run;
  // One that shuts down is started once it is off: that it is not off yet is no answer to who wants it to run.
  const before = present(vmId, await domains.restingState(vmId));
  // One that goes on has been checked, or has not begun: what it may have started is not refused afterwards.
  if (!resumed)
    await step("placement", () => checkPlacement(context, vmId, placementEpoch, isActive(before)));
  if (isActive(before)) return { state: before.state, was: before.state };
  if (resumed) {
    // Another agent, or this one before it gave up, may have asked libvirt to start it: that may still be coming.
    const after = await domains.settledState(vmId);
    if (isActive(after)) return { state: "running", was: before.state };
    throw interrupted("the VM is stopped; start it again if it should run");
  }
  const vm = table.get(vmId);
  if (vm !== undefined) await requireDisksFree(vm, table.all().filter(isActive), volumes.names);
  const spec = vm?.spec;
  if (spec !== undefined) await step("check volumes", () => checkVolumes(context, spec));
  if (spec !== undefined && keyedParts(spec).length > 0) await step("keys", () => restoreKeys(context, spec));
  step.requireOpen();
  await domains.stamps.begin(vmId, operationId);
  const culprit = spec === undefined ? undefined : culpritOf(spec);
  await step("start", () => domains.start(vmId, culprit), 0.8);
  await stampComplete(context, run, true);
  await seen(table.until(vmId, isActiveVm, AbortSignal.timeout(SEEN_WITHIN_MS)));
  return { state: "running", was: before.state };
};

/**
 * What a VM is about to open is still what it was made with: who may write into a pool may have put another file in its
 * place since. Throws as `Volumes.resolve`, and `unavailable` LIBVIRT_STORAGE_SILENT where storage does not answer in time.
 */
export async function checkVolumes({ volumes, clock }: WorkContext, spec: VmSpec): Promise<void> {
  const { id, name, disks, kernelBoot } = spec;
  const look = async (): Promise<void> => {
    if (kernelBoot !== undefined) await volumes.resolve(kernelBoot.kernel);
    if (kernelBoot?.initrd !== undefined) await volumes.resolve(kernelBoot.initrd);
    for (const { name: disk, source } of disks) {
      if (source.kind === "volume") await volumes.resolve(source.volume);
      else {
        const own = { pool: source.pool, volume: volumeName(id, disk, source.format) };
        await volumes.resolve(own, source.baseVolume);
      }
    }
  };
  const over = new AbortController();
  const late = clock.sleep(LOOK_FOR_MS, over.signal).then(
    () => {
      throw unseen(name, `the storage did not answer within ${LOOK_FOR_MS / 1000} s`);
    },
    () => undefined,
  );
  try {
    await Promise.race([look(), late]);
  } catch (thrown) {
    const error = toSocleError(thrown);
    throw error.reason === "LIBVIRT_TIMEOUT" ? unseen(name, error.message, error) : error;
  } finally {
    over.abort();
  }
}

const unseen = (vm: string, why: string, cause?: SocleError): SocleError =>
  new SocleError(
    "unavailable",
    "LIBVIRT_STORAGE_SILENT",
    `the volumes of VM ${vm} could not be looked at, so it is not started: ${why}; see to their pools (virsh pool-list), then start it again`,
    { cause, details: { retryAfterMs: 5000 } },
  );

/**
 * libvirt has the passphrases of a VM's encrypted disks again: it keeps them in memory alone. Throws what
 * `GuestKeys.restore` throws, and `conflict` KEYS_MISSING where the domain has lost one.
 */
export async function restoreKeys({ domains, keys }: WorkContext, spec: VmSpec): Promise<void> {
  const parts = keyedParts(spec);
  if (parts.length === 0) return;
  const sealed = (await domains.document(spec.id))?.metadata?.socle?.keys ?? {};
  const lost = parts.filter((part) => sealed[part] === undefined);
  if (lost.length > 0) {
    const message = `the domain does not hold the keys of ${lost.join(", ")} any more: they were erased, or its metadata was changed`;
    throw new SocleError("conflict", "KEYS_MISSING", message);
  }
  await keys.restore(spec.id, sealed);
}

export const pauseWork: Work<"PAUSE_VM"> = async (context, _intent, run) => {
  const { vmId, step, resumed } = run;
  const before = resumed ? await settled(context, vmId) : await known(context, vmId);
  if (before.state !== "paused") {
    if (resumed) throw interrupted(`the VM is ${before.state}; pause it again if it should be paused`);
    requireState(before.state, ["running"], "paused");
    await stampRun(context, run);
    await step("suspend", () => context.domains.suspend(vmId), 0.8);
    await stampComplete(context, run, true);
  }
  await seen(context.table.until(vmId, (vm) => vm?.state === "paused", AbortSignal.timeout(SEEN_WITHIN_MS)));
  return { state: "paused", was: before.state };
};

export const resumeWork: Work<"RESUME_VM"> = async (context, _intent, run) => {
  const { vmId, step, resumed } = run;
  const before = resumed ? await settled(context, vmId) : await known(context, vmId);
  if (before.state !== "running") {
    if (resumed) throw interrupted(`the VM is ${before.state}; resume it again if it should run`);
    requireState(before.state, ["paused"], "resumed");
    await stampRun(context, run);
    await step("resume", () => context.domains.resume(vmId), 0.8);
    await stampComplete(context, run, true);
  }
  await seen(context.table.until(vmId, (vm) => vm?.state === "running", AbortSignal.timeout(SEEN_WITHIN_MS)));
  return { state: "running", was: before.state };
};

export const rebootWork: Work<"REBOOT_VM"> = async (context, { force }, run) => {
  const { vmId, step, resumed } = run;
  if (resumed)
    throw interrupted("whether the guest was asked to reboot is not known; ask again if it should");
  const { state } = await known(context, vmId);
  requireState(state, ["running"], "rebooted");
  await stampRun(context, run);
  if (force) await step("reset", () => context.domains.reset(vmId), 0.8);
  else await step("ask guest", () => context.domains.reboot(vmId), 0.8);
  await stampComplete(context, run, true);
  return { by: force ? "reset" : "guest" };
};

/** How long a stop by force waits for the guest where nobody said: one that cannot hear is not given all of `usualMs`. */
export const graceOf = ({ state, stats }: Pick<Vm, "state" | "stats">, usualMs: number): number =>
  state === "paused" || stats?.unresponsive === true ? Math.min(DEAF_GRACE_MS, usualMs) : usualMs;

/**
 * Asks the guest, waits, asks again; when the time is over pulls the plug if asked to, else fails and leaves it running.
 * `cut`: the forced stops that may end the wait early.
 */
export const stopWork = (cut: Cut): Work<"STOP_VM"> => {
  return async (context, { gracefulTimeoutMs, force }, run) => {
    const { domains, table } = context;
    const { vmId, step, signal } = run;
    const before = await known(context, vmId);
    if (!isActive(before)) return { state: "stopped", stopped_by: "already" };
    // Who started the VM again did not ask for that run to end.
    const guestRun = await holdsRun(context, run, "stop the VM again if it should be off");
    if (guestRun === undefined) return { state: "stopped", stopped_by: "unknown" };
    const isOver = async (): Promise<boolean> => !(await isInRun(context, run, guestRun));
    // Without force the guest alone decides, also in what an earlier version admitted with no time to do so.
    let deaf: SocleError | undefined;
    if (gracefulTimeoutMs > 0 || !force) {
      deaf = await step(
        "ask guest",
        () => askToStop(context, run, isOver, gracefulTimeoutMs, AbortSignal.any([signal, cut.signal])),
        0.6,
      );
      if (deaf === undefined) {
        await stampComplete(context, run, false);
        return { state: "stopped", stopped_by: "guest" };
      }
      if (await isOver()) return { state: "stopped", stopped_by: "unknown" };
      signal.throwIfAborted();
    }
    // Also asked right before the plug: the forced stop may be cancelled at any time.
    const requireForce = (): void => {
      if (deaf !== undefined && !force && !cut.isWanted()) throw deaf;
    };
    requireForce();
    await step("pull plug", () => domains.destroy(vmId, { isOver, requireWanted: requireForce }), 0.3);
    await stampComplete(context, run, false);
    await seen(table.until(vmId, (vm) => !isActiveVm(vm), AbortSignal.timeout(SEEN_WITHIN_MS)));
    return { state: "stopped", stopped_by: "force" };
  };
};

/**
 * Asks again and again until the guest has stopped by itself, the time is over or the signal aborts; gives why it did
 * not. A guest that cannot be asked (paused, hung, its agent silent) is one that does not stop. `isOver`: libvirt's word,
 * since the table may be older than the run.
 */
async function askToStop(
  { domains, table, clock }: WorkContext,
  { vmId, step }: Pick<WorkRun, "vmId" | "step">,
  isOver: () => Promise<boolean>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<SocleError | undefined> {
  const over = new AbortController();
  const seenStopped = (): Promise<boolean> =>
    table
      .until(vmId, (vm) => vm !== undefined && !isActive(vm), AbortSignal.any([signal, over.signal]))
      .then(
        () => true,
        () => false,
      );
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
        // Another agent may drive libvirt by now.
        step.requireOpen();
        // A hung guest keeps the question waiting: the time goes on all the same.
        asking ??= ask();
        askAtMs = clock.monotonicMs() + ASK_AGAIN_MS;
      }
      const leftMs = Math.min(deadlineMs, askAtMs) - clock.monotonicMs();
      const pause = new AbortController();
      const later = clock.sleep(Math.max(0, leftMs), pause.signal).then(
        () => false,
        () => false,
      );
      const isStopped = await Promise.race([stopped, later]);
      pause.abort();
      if (isStopped) {
        if (await isOver()) {
          // Its late effect must not meet the next run.
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
  // The table may be blind: libvirt has the last word.
  const waitedMs = Math.min(timeoutMs, clock.monotonicMs() - beganMs);
  return (await isOver()) ? undefined : didNotStop(waitedMs, refusal);
}

export function forceRequired(): SocleError {
  const message =
    "graceful_timeout is 0 without force: only force cuts the power of a guest. Set force, or allow time";
  const fields = { graceful_timeout: "must be more than 0 without force" };
  return new SocleError("invalid", "FORCE_REQUIRED", message, { details: { fields } });
}

function didNotStop(afterMs: number, refusal: unknown): SocleError {
  const why = refusal === undefined ? "" : ` (it could not be asked: ${toSocleError(refusal).message})`;
  const message = `the guest did not stop within ${Math.round(afterMs / 100) / 10} s and runs on${why}; stop it with force to pull its plug`;
  return new SocleError("timeout", "GUEST_DID_NOT_STOP", message, { cause: refusal });
}

/** A start from a placement that has been overtaken is refused; a newer one is written down before it takes effect. */
async function checkPlacement(
  { domains, table }: WorkContext,
  vmId: string,
  epoch: number,
  isActive: boolean,
): Promise<void> {
  // Epochs only go up. A guest that hangs does not let its XML be read: nothing is asked where nothing is new.
  if (epoch === 0 || table.get(vmId)?.placementEpoch === epoch) return;
  const socle = (await domains.document(vmId))?.metadata?.socle;
  if (socle === undefined || socle.placementEpoch === epoch) return;
  if (epoch < socle.placementEpoch) {
    const message = `the VM was placed anew (epoch ${socle.placementEpoch}) since this request's epoch ${epoch}`;
    throw new SocleError("conflict", "STALE_PLACEMENT_EPOCH", message);
  }
  const metadata: VmMetadata = { ...socle, placementEpoch: epoch };
  await domains.setMetadata(vmId, metadata, isActive);
}

/** Its state once all that an earlier run asked for has come through. */
async function settled({ domains }: WorkContext, vmId: string): Promise<{ state: VmState }> {
  return present(vmId, await domains.settledState(vmId));
}

async function known({ domains }: WorkContext, vmId: string): Promise<{ state: VmState }> {
  return present(vmId, await domains.steadyState(vmId));
}

function present(vmId: string, state: { state: VmState } | undefined): { state: VmState } {
  if (state !== undefined) return state;
  throw new SocleError("not_found", "VM_NOT_FOUND", `there is no VM ${vmId} on this host any more`);
}

const isActiveVm = (vm: { state: VmState } | undefined): boolean => isActive(vm);

function requireState(state: VmState, needed: readonly VmState[], participle: string): void {
  if (needed.includes(state)) return;
  const message = `the VM is ${state}; only one that is ${needed.join(" or ")} can be ${participle}`;
  throw new SocleError("conflict", "VM_STATE", message, { details: { metadata: { state } } });
}
