import { Counts } from "../../kernel/counts.ts";
import type { Operation } from "./operation.ts";
import { OrderedIds } from "./ordered-ids.ts";

/** What lists of operations are filtered by. */
export interface Selection {
  readonly vmId?: string;
  readonly tenant?: string;
  readonly onlyRunning?: boolean;
}

/** Of one VM, of one tenant, of one VM for one tenant, or of all. */
interface Group {
  readonly all: OrderedIds;
  readonly running: OrderedIds;
}

/** Ids of operations by VM, by tenant and by whether they run: a list visits those alone that it may show. */
export class OperationIndex {
  readonly #everything: Group = newGroup();
  readonly #byVm = new Map<string, Group>();
  readonly #byTenant = new Map<string, Group>();
  /** An id that VMs of several tenants had, one after the other, has operations of each. */
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

  /** Charged to the same account, ended ones included. */
  heldOf(who: Charged): number {
    return this.#heldOf.of(accountOf(who));
  }

  runningOf(who: Charged): number {
    return this.#runningOf.of(accountOf(who));
  }

  /** Under way and waiting for this VM. */
  runningFor(vmId: string): number {
    return this.#byVm.get(vmId)?.running.size ?? 0;
  }

  /** The fewest ids that hold all that are selected, newest first. */
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

/** The owner of the bounds that an operation counts against: its VM's tenant, else its caller. */
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
