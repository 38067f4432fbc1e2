import type { Backup__Output } from "../../gen/socle/v1/Backup.ts";
import type { Host__Output } from "../../gen/socle/v1/Host.ts";
import type { Operation__Output } from "../../gen/socle/v1/Operation.ts";
import type { Vm__Output } from "../../gen/socle/v1/Vm.ts";
import { allBackups } from "../backup/all-backups.ts";
import type { Agent } from "../client.ts";
import { enumWord } from "../format.ts";
import { allVms, byName, isSeen } from "../vm-sight.ts";
import { defined } from "../../kernel/defined.ts";
import { toSocleError } from "../../kernel/errors.ts";

/** One snapshot of the host. */
export interface Look {
  readonly host: Host__Output;
  readonly vms: readonly Vm__Output[];
  /** False: the list may be incomplete, and unknown VMs are as last seen. */
  readonly complete: boolean;
  /** Operations that copy bytes now. */
  readonly jobs: readonly Operation__Output[];
  readonly openBackups: readonly Backup__Output[];
  readonly atMs: number;
}

/** More than a host runs at once. */
const MOST_RUNNING = 100;

export async function look(agent: Agent, nowMs: () => number): Promise<Look> {
  const { contract } = agent;
  const host = await agent.ask(contract.host.GetHost, {});
  const running = { onlyRunning: true, pageSize: MOST_RUNNING };
  const { operations } = await agent.ask(contract.operations.ListOperations, running);
  const jobs = operations.filter(({ transfer }) => transfer !== null);
  const openBackups = await allBackups(agent, { onlyOpen: true }).catch((thrown: unknown) => {
    // An agent without the service has none.
    if (toSocleError(thrown).kind === "unsupported") return [];
    throw thrown;
  });
  return { host, ...(await allVms(agent)), jobs, openBackups, atMs: nowMs() };
}

export type SortName = "cpu" | "memory" | "disk" | "network" | "name";

/** The person's choices. */
export interface Choice {
  readonly sort: SortName;
  readonly reversed: boolean;
  readonly filter: string;
  /** Set while a filter is being typed. */
  readonly typing: boolean;
  /** Index of the first visible VM. */
  readonly offset: number;
}

/** Current readings of a VM; unknown ones are absent. */
interface Reading {
  readonly cpuRatio?: number;
  readonly residentBytes?: number;
  readonly diskBytesPerSecond?: number;
  readonly networkBytesPerSecond?: number;
}

/** Empty for a VM that is not observed or does not respond. */
export function readingOf(vm: Vm__Output): Reading {
  const { stats, vcpus } = vm;
  if (stats === null || stats.unresponsive || !isSeen(vm)) return {};
  const { rates } = stats;
  const sum = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined || b === undefined ? undefined : a + b;
  return defined({
    cpuRatio: rates?.cpuCores === undefined ? undefined : rates.cpuCores / Math.max(1, vcpus),
    residentBytes: stats.memoryRssBytes,
    diskBytesPerSecond: sum(rates?.diskReadBytesPerSecond, rates?.diskWriteBytesPerSecond),
    networkBytesPerSecond: sum(rates?.receiveBytesPerSecond, rates?.transmitBytesPerSecond),
  });
}

const sortedBy: Readonly<Record<Exclude<SortName, "name">, keyof Reading>> = {
  cpu: "cpuRatio",
  memory: "residentBytes",
  disk: "diskBytesPerSecond",
  network: "networkBytesPerSecond",
};

/** The VMs that match, sorted; unknown readings come last in both directions. */
export function arrange(
  vms: readonly Vm__Output[],
  { sort, reversed, filter }: Pick<Choice, "sort" | "reversed" | "filter">,
): readonly Vm__Output[] {
  const wanted = vms.filter(({ name, tenant, state, vmId }) =>
    [name, tenant, enumWord(state, "VM_STATE"), vmId].some((text) =>
      text.toLowerCase().includes(filter.toLowerCase()),
    ),
  );
  const sign = reversed ? -1 : 1;
  if (sort === "name") return wanted.sort((a, b) => sign * byName(a, b));
  const values = new Map(wanted.map((vm) => [vm.vmId, readingOf(vm)[sortedBy[sort]]]));
  return wanted.sort((a, b) => {
    const [left, right] = [values.get(a.vmId), values.get(b.vmId)];
    if (left === undefined || right === undefined)
      return left === right ? byName(a, b) : left === undefined ? 1 : -1;
    return sign * (right - left) || byName(a, b);
  });
}
