import type { SocleError } from "../../kernel/errors.ts";
import { tooMany } from "./refusals.ts";
import type { Charged } from "./operation-index.ts";
import type { OperationTable } from "./operation-table.ts";
import { Permit } from "./permit.ts";
import { MOST_FORGOTTEN_AT_ONCE } from "./retention.ts";

const limits = {
  /**
   * Limit of ended and running operations together (about 2.3 kB each). At the limit the oldest ended ones of the tenant
   * with the most are forgotten early, of those that its own callers began; without any, new ones are refused.
   */
  maxRetained: 50_000,
  maxRunning: 10_000,
  /** For one caller, so that it leaves room for others. */
  maxRetainedPerCaller: 20_000,
  /** Per tenant, for operations on its VMs by any caller; they do not count for the caller. `quotaOf` has precedence. */
  maxRetainedPerTenant: 5000,
  maxRunningPerTenant: 500,
  maxRunningPerCaller: 1000,
  /** Running and waiting for one VM. */
  maxRunningPerVm: 16,
};

export interface BoundsOptions extends Partial<Readonly<typeof limits>> {
  /** Without it every operation is permitted. */
  readonly permit?: Permit;
  /** A tenant's configured limits; null: the defaults. */
  readonly quotaOf?: (tenant: string) => { readonly kept: number | null; readonly running: number | null };
}

/** Added to each limit for operations that relieve the host: stops are admitted when no others are. */
const reserve = { retained: 1000, running: 1000, perVm: 8 };
/** The share of each limit for a tenant's own callers: they never keep the provider from the tenant's VMs. */
const tenantsPart = { usual: 3 / 4, urgent: 7 / 8 };

/** The tenant of an operation's VM, and the kind of caller that begins it. */
interface Admitted extends Charged {
  readonly vmId: string;
  readonly urgent?: boolean | undefined;
  readonly byTenant?: boolean | undefined;
}

/** The limits on the number of operations. */
export class OperationBounds {
  readonly #max: Readonly<typeof limits>;
  readonly #quotaOf: BoundsOptions["quotaOf"];
  readonly permit: Permit;

  constructor(options: BoundsOptions) {
    this.permit = options.permit ?? new Permit();
    this.#quotaOf = options.quotaOf;
    this.#max = { ...limits, ...options };
  }

  /** Makes room for one more operation. Throws TOO_MANY_OPERATIONS, or the permit's refusal. */
  requireRoom(table: OperationTable, admitted: Admitted): void {
    const refusal = this.#refusal(table, admitted);
    if (refusal !== undefined) throw refusal;
    const { maxRetained } = this.#max;
    const most = roomOf("retained", maxRetained, admitted);
    // After a restart several may be over the limit, since the journal may still have forgotten ones.
    for (let at = 0; at < MOST_FORGOTTEN_AT_ONCE && table.size >= most; at += 1)
      if (!table.forgetEarly()) throw tooMany(`${maxRetained} operations are kept`, expiryOf(table));
  }

  #refusal(table: OperationTable, admitted: Admitted): SocleError | undefined {
    const { vmId, ...who } = admitted;
    if (this.permit.refusal !== undefined) return this.permit.refusal;
    const max = this.#max;
    const room = (kind: keyof typeof reserve, bound: number): number => roomOf(kind, bound, admitted);
    const isTenants = who.tenant !== undefined;
    const whose = isTenants ? `the tenant ${who.tenant}` : "this caller";
    const quota = who.tenant === undefined ? undefined : this.#quotaOf?.(who.tenant);
    const dimension = (name: string, { limit, used }: { limit: number; used: number }) =>
      who.tenant === undefined
        ? {}
        : { tenant: who.tenant, dimension: name, limit: String(limit), used: String(used) };
    const retained = isTenants ? (quota?.kept ?? max.maxRetainedPerTenant) : max.maxRetainedPerCaller;
    const kept = { limit: room("retained", retained), used: table.index.heldOf(who) };
    if (kept.used >= kept.limit)
      return tooMany(
        `${kept.used} operations of ${whose} are kept`,
        expiryOf(table),
        dimension("kept_operations", kept),
      );
    if (table.unfinished >= room("running", max.maxRunning))
      return tooMany(`${max.maxRunning} operations are in progress`, 1000);
    const running = isTenants ? (quota?.running ?? max.maxRunningPerTenant) : max.maxRunningPerCaller;
    const unfinished = { limit: room("running", running), used: table.index.runningOf(who) };
    if (unfinished.used >= unfinished.limit)
      return tooMany(
        `${unfinished.used} operations of ${whose} are in progress`,
        1000,
        dimension("running_operations", unfinished),
      );
    if (table.index.runningFor(vmId) >= room("perVm", max.maxRunningPerVm))
      return tooMany(`${max.maxRunningPerVm} operations of this VM are in progress`, 1000);
    return undefined;
  }
}

/** The part of a limit that this caller may use. */
const roomOf = (
  kind: keyof typeof reserve,
  bound: number,
  { urgent = false, byTenant = false }: Pick<Admitted, "urgent" | "byTenant">,
): number =>
  byTenant
    ? Math.ceil(bound * tenantsPart[urgent ? "urgent" : "usual"])
    : bound + (urgent ? reserve[kind] : 0);

const expiryOf = (table: OperationTable): number => table.nextExpiryInMs() ?? 60_000;
