import { Counts } from "../../kernel/counts.ts";
import type { Operation } from "./operation.ts";
import { OrderedIds } from "./ordered-ids.ts";

/** Filters for lists of operations. */
export interface Selection {
  readonly vmId?: string;
  readonly tenant?: string;
  readonly onlyRunning?: boolean;
}

/** Operations of one VM, of one tenant, of one VM for one tenant, or all. */
interface Group {
  readonly all: OrderedIds;
  readonly running: OrderedIds;
}

/** Ids of operations by VM, tenant and running state: a list visits only those that it may show. */
export class OperationIndex {
  readonly #everything: Group = newGroup();
  readonly #byVm = new Map<string, Group>();
  readonly #byTenant = new Map<string, Group>();
  /** VMs of several tenants may have had the same id, one after the other. */
  readonly #byVmOfTenant = new Map<string, Group>();
  readonly #heldOf = new Counts();
  readonly #runningOf = new Counts();

  /** In the order of ids. */
  add(operation: Operation): void {
    for (const { all, running } of this.#groupsOf(operation)) {
      all.add(operation.id);
      running.add(operation.id);
    }
    this.#heldOf.add(accountOf(operation));
    this.#runningOf.add(accountOf(operation));
  }

  /** Once, after `add`. */
  finish(operation: Operation): void {
    for (const { running } of this.#groupsOf(operation)) running.remove(operation.id);
    this.#runningOf.remove(accountOf(operation));
  }

  /** Once, after `finish`. */
  remove(operation: Operation): void {
    for (const { all } of this.#groupsOf(operation)) all.remove(operation.id);
    this.#heldOf.remove(accountOf(operation));
    const { vmId, tenant = "" } = operation;
    forgetEmpty(this.#byVm, vmId);
    forgetEmpty(this.#byTenant, tenant);
    forgetEmpty(this.#byVmOfTenant, `${vmId} ${tenant}`);
  }

  get newestId(): string | undefined {
    return this.#everything.all.newest;
  }

  /** Number of operations charged to the same account, ended ones included. */
  heldOf(who: Charged): number {
    return this.#heldOf.of(accountOf(who));
  }

  runningOf(who: Charged): number {
    return this.#runningOf.of(accountOf(who));
  }

  /** Number of operations that run or wait for this VM. */
  runningFor(vmId: string): number {
    return this.#byVm.get(vmId)?.running.size ?? 0;
  }

  /** The smallest group of ids that contains all selected ones, newest first. */
  newestFirst({ vmId, tenant, onlyRunning = false }: Selection, afterId = "~"): Iterable<string> {
    let group: Group | undefined = this.#everything;
    if (vmId !== undefined && tenant !== undefined) group = this.#byVmOfTenant.get(`${vmId} ${tenant}`);
    else if (vmId !== undefined) group = this.#byVm.get(vmId);
    else if (tenant !== undefined) group = this.#byTenant.get(tenant);
    return (onlyRunning ? group?.running : group?.all)?.below(afterId) ?? [];
  }

  #groupsOf({ vmId, tenant }: Operation): Group[] {
    const groups = [this.#everything, groupIn(this.#byVm, vmId)];
    if (tenant === undefined) return groups;
    return [...groups, groupIn(this.#byTenant, tenant), groupIn(this.#byVmOfTenant, `${vmId} ${tenant}`)];
  }
}

/** The account that an operation counts against: its VM's tenant, else its caller. */
export interface Charged {
  readonly caller: string;
  readonly tenant?: string | undefined;
}

const accountOf = ({ caller, tenant }: Charged): string =>
  tenant === undefined ? `caller ${caller}` : `tenant ${tenant}`;

const newGroup = (): Group => ({ all: new OrderedIds(), running: new OrderedIds() });

function groupIn(groups: Map<string, Group>, key: string): Group {
  let group = groups.get(key);
  if (group === undefined) groups.set(key, (group = newGroup()));
  return group;
}

function forgetEmpty(groups: Map<string, Group>, key: string): void {
  if (groups.get(key)?.all.size === 0) groups.delete(key);
}
