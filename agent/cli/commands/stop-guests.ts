import { randomUUID } from "node:crypto";
import { systemClock } from "../../kernel/clock.ts";
import { Semaphore } from "../../kernel/concurrency/semaphore.ts";
import { SocleError, toSocleError } from "../../kernel/errors.ts";
import type { Vm__Output } from "../../gen/socle/v1/Vm.ts";
import type { Agent } from "../client.ts";
import { usageError } from "../errors.ts";
import { formatDuration, printable, toDuration } from "../format.ts";
import { fromStatus } from "../rpc-error.ts";
import type { Command, Session } from "../session.ts";
import { systemctl } from "../systemctl.ts";
import { allVms } from "../vm-sight.ts";

interface Options {
  /** In milliseconds. */
  readonly timeout?: number;
  readonly parallel?: number;
  readonly force?: boolean;
  readonly atShutdown?: boolean;
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

interface Stopped {
  readonly vm: string;
  readonly name: string;
  readonly startPriority: number;
  readonly stopped: boolean;
  /** Why it still runs. */
  readonly reason?: string;
}

/** Defaults of the options. */
const STOP_MS = 300_000;
const ASKED_AT_ONCE = 16;
/** For the power-off of guests that are left, at the end of the time. */
const FORCE_MS = 10_000;
const LEAST_MS = 1000;
const WAIT_MS = 5000;
/** How long libvirt may take to list all VMs, after a restart of the agent or of libvirt. */
const LISTED_WITHIN_MS = 30_000;
const LOOK_AGAIN_MS = 500;

/**
 * Asks the guests to stop: the lowest start priority first, each priority within its share of the time. A guest that does
 * not stop delays only its own share. With --force the power of those left is cut at the end.
 */
export const stopGuests: Command = async (session, _args, options: Options) => {
  const { timeout = STOP_MS, force = false, parallel = ASKED_AT_ONCE } = options;
  if (options.atShutdown === true && !(await isShuttingDown(session))) {
    session.note("the host does not shut down: no guest is stopped");
    return undefined;
  }
  if (options.atShutdown !== true && options.yes !== true && options.dryRun !== true)
    throw usageError("this stops all VMs of the host: add --yes, or --dry-run to see the order");
  const agent = await session.agent();
  const endMs = systemClock.monotonicMs() + timeout;
  const leftMs = (): number => endMs - systemClock.monotonicMs() - (force ? FORCE_MS : 0);
  const knownByMs = Math.min(endMs, systemClock.monotonicMs() + LISTED_WITHIN_MS);
  const ended = new Map<string, Stopped>();
  if (options.dryRun === true) {
    const order = (await activeVms(agent)).vms.map((vm) => ({
      vm: vm.vmId,
      name: vm.name,
      ...priorityOf(vm),
    }));
    session.show(order, () => `${order.map(shownOrder).join("")}nothing changed (--dry-run)\n`);
    return undefined;
  }
  let isListed = false;
  // A VM may start meanwhile: again until a look finds no other.
  for (;;) {
    const { vms, complete } = await activeVms(agent, ended);
    const batches = batchesOf(vms, parallel);
    if (batches.length === 0) {
      isListed = complete;
      if (isListed || systemClock.monotonicMs() >= knownByMs) break;
      await systemClock.sleep(LOOK_AGAIN_MS);
    }
    for (const [index, batch] of batches.entries()) {
      const graceMs = Math.max(LEAST_MS, leftMs() / (batches.length - index));
      const all = batch.map((vm) => stopOne(agent, vm, { force: false, graceMs }));
      for (const each of await Promise.all(all)) report(session, ended, each);
    }
  }
  if (force) {
    const permits = new Semaphore(parallel);
    const left = (await activeVms(agent)).vms.filter(({ vmId }) => ended.has(vmId));
    const all = left.map((vm) => permits.run("", () => stopOne(agent, vm, { force: true, graceMs: 0 })));
    for (const each of await Promise.all(all)) report(session, ended, each);
  }
  if (session.json) session.printJson([...ended.values()]);
  const running = [...ended.values()].filter(({ stopped }) => !stopped).map(({ name }) => name);
  if (running.length === 0 && !isListed) throw notListed();
  if (running.length === 0) return undefined;
  const message = `${running.length} VMs did not stop within ${formatDuration(timeout)}: ${running.join(", ")}. Stop them with force: socle vm stop --force`;
  throw new SocleError("timeout", "GUESTS_STILL_RUN", message);
};

/** Whether systemd shuts the host down. False where that is not known: a restart of a unit must not stop guests. */
async function isShuttingDown({ io }: Session): Promise<boolean> {
  if ((await systemctl(["is-system-running"], io.env)).trim() === "stopping") return true;
  // A shutdown before the end of the boot: systemd reports "starting".
  const jobs = await systemctl(["list-jobs", "--no-legend", "shutdown.target"], io.env);
  return /\bshutdown\.target\s+start\b/.test(jobs);
}

/** Managed VMs that are not off, in the order of their stop, without those that `done` has. */
async function activeVms(
  agent: Agent,
  done: ReadonlyMap<string, unknown> = new Map(),
): Promise<{ readonly vms: readonly Vm__Output[]; readonly complete: boolean }> {
  const { vms: all, complete } = await allVms(agent);
  const vms = all
    .filter(({ vmId, managed, state }) => managed && !OFF.has(state) && !done.has(vmId))
    .sort((a, b) => priorityOf(a).startPriority - priorityOf(b).startPriority || (a.name < b.name ? 1 : -1));
  return { vms, complete };
}

const notListed = (): SocleError =>
  new SocleError(
    "unavailable",
    "LIBVIRT_UNAVAILABLE",
    "libvirt has not listed all VMs, so other guests may still run: stop them with virsh shutdown, or see: socle doctor",
  );

const OFF: ReadonlySet<string> = new Set(["VM_STATE_STOPPED", "VM_STATE_CRASHED"]);

const priorityOf = ({ spec }: Vm__Output): { startPriority: number } => ({
  startPriority: spec?.startPriority ?? 0,
});

/** VMs of one priority are asked together, but never more than `most`. */
function batchesOf(vms: readonly Vm__Output[], most: number): Vm__Output[][] {
  const batches: Vm__Output[][] = [];
  let priority: number | undefined;
  for (const vm of vms) {
    const { startPriority } = priorityOf(vm);
    const last = batches.at(-1);
    if (last === undefined || startPriority !== priority || last.length >= most) batches.push([vm]);
    else last.push(vm);
    priority = startPriority;
  }
  return batches;
}

/** Never rejects. */
async function stopOne(
  agent: Agent,
  vm: Vm__Output,
  { force, graceMs }: { readonly force: boolean; readonly graceMs: number },
): Promise<Stopped> {
  const { vmId, name } = vm;
  const about = { vm: vmId, name, ...priorityOf(vm) };
  try {
    const request = {
      requestId: randomUUID(),
      vm: vmId,
      force,
      gracefulTimeout: toDuration(Math.round(graceMs)),
    };
    let operation = await agent.ask(agent.contract.vms.StopVm, request);
    const { operationId } = operation;
    const untilMs = systemClock.monotonicMs() + graceMs + FORCE_MS;
    while (!operation.done && systemClock.monotonicMs() < untilMs) {
      const wait = { operationId, timeout: toDuration(WAIT_MS) };
      operation = await agent.ask(agent.contract.operations.WaitOperation, wait);
    }
    if (operation.state === "STATE_SUCCEEDED") return { ...about, stopped: true };
    const reason =
      operation.error === null ? "it did not end" : fromStatus(agent.contract, operation.error).message;
    return { ...about, stopped: false, reason };
  } catch (thrown) {
    return { ...about, stopped: false, reason: toSocleError(thrown).message };
  }
}

function report(session: Session, ended: Map<string, Stopped>, each: Stopped): void {
  ended.set(each.vm, each);
  if (session.json) return;
  const how = each.stopped ? "stopped" : `still runs: ${printable(each.reason ?? "")}`;
  session.print(`${printable(each.name)}: ${how}\n`);
}

const shownOrder = ({ name, startPriority }: { name: string; startPriority: number }): string =>
  `${printable(name)} (start priority ${startPriority})\n`;
