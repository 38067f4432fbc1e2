import type { SocleError } from "../kernel/errors.ts";
import { tooMany } from "./operation-refusals.ts";
import type { Charged } from "./operation-index.ts";
import type { OperationTable } from "./operation-table.ts";
import { Permit } from "./permit.ts";

export interface BoundsOptions {
  /** Without it nothing stands against an operation. */
  readonly permit?: Permit;
  /** Ended and running ones together; beyond it nothing is forgotten early, new ones are refused. Default 50,000 (about 2.3 kB each). */
  readonly maxRetained?: number;
  /** Default 10,000. */
  readonly maxRunning?: number;
  /** Of one caller, so that what one asks for leaves room for others. Default 20,000. */
  readonly maxRetainedPerCaller?: number;
  /** Of one tenant's VMs, whoever asks: these do not count as their caller's. Default 5000; `quotaOf` goes before it. */
  readonly maxRetainedPerTenant?: number;
  /** Default 500. */
  readonly maxRunningPerTenant?: number;
  /** Default 1000. */
  readonly maxRunningPerCaller?: number;
  /** Under way and waiting for one VM. Default 16. */
  readonly maxRunningPerVm?: number;
  /** What the configuration says of a tenant's operations; null: the defaults. */
  readonly quotaOf?: (tenant: string) => { readonly kept: number | null; readonly running: number | null };
}

/** Beyond each bound there is room for what relieves the host: stops get through when nothing else does. */
const reserve = { retained: 1000, running: 1000, perVm: 8 };
/** Of each bound, as far as a tenant's own callers get: what they began never keeps the provider from the tenant's VMs. */
const tenantsPart = { usual: 3 / 4, urgent: 7 / 8 };

/** How many operations there may be. */
export class OperationBounds {
  readonly #max: Required<Omit<BoundsOptions, "permit" | "quotaOf">>;
  readonly #quotaOf: BoundsOptions["quotaOf"];
  readonly permit: Permit;

  constructor(options: BoundsOptions) {
    this.permit = options.permit ?? new Permit();
    this.#quotaOf = options.quotaOf;
    this.#max = {
      maxRetained: options.maxRetained ?? 50_000,
      maxRunning: options.maxRunning ?? 10_000,
      maxRetainedPerCaller: options.maxRetainedPerCaller ?? 20_000,
      maxRetainedPerTenant: options.maxRetainedPerTenant ?? 5000,
      maxRunningPerTenant: options.maxRunningPerTenant ?? 500,
      maxRunningPerCaller: options.maxRunningPerCaller ?? 1000,
      maxRunningPerVm: options.maxRunningPerVm ?? 16,
    };
  }

  /** Why one more is refused; undefined: it is not. */
  refusal(
    table: OperationTable,
    {
      vmId,
      urgent = false,
      byTenant = false,
      ...who
    }: Charged & { vmId: string; urgent?: boolean | undefined; byTenant?: boolean | undefined },
  ): SocleError | undefined {
    if (this.permit.refusal !== undefined) return this.permit.refusal;
    const max = this.#max;
    const room = (kind: keyof typeof reserve, bound: number): number =>
      byTenant
        ? Math.ceil(bound * tenantsPart[urgent ? "urgent" : "usual"])
        : bound + (urgent ? reserve[kind] : 0);
    const expiry = (): number => table.nextExpiryInMs() ?? 60_000;
    if (table.size >= room("retained", max.maxRetained))
      return tooMany(`${max.maxRetained} operations are kept`, expiry());
    const isTenants = who.tenant !== undefined;
    const whose = isTenants ? `the tenant ${who.tenant}` : "this caller";
    const quota = who.tenant === undefined ? undefined : this.#quotaOf?.(who.tenant);
    const dimension = (name: string, { limit, used }: { limit: number; used: number }) =>
      who.tenant === undefined
        ? {}
        : { tenant: who.tenant, dimension: name, limit: String(limit), used: String(used) };
    const retained = isTenants ? (quota?.kept ?? max.maxRetainedPerTenant) : max.maxRetainedPerCaller;
    const kept = { limit: room("retained", retained), used: table.heldOf(who) };
    if (kept.used >= kept.limit)
      return tooMany(
        `${kept.used} operations of ${whose} are kept`,
        expiry(),
        dimension("kept_operations", kept),
      );
    if (table.unfinished >= room("running", max.maxRunning))
      return tooMany(`${max.maxRunning} operations are under way`, 1000);
    const running = isTenants ? (quota?.running ?? max.maxRunningPerTenant) : max.maxRunningPerCaller;
    const unfinished = { limit: room("running", running), used: table.unfinishedOf(who) };
    if (unfinished.used >= unfinished.limit)
      return tooMany(
        `${unfinished.used} operations of ${whose} are under way`,
        1000,
        dimension("running_operations", unfinished),
      );
    if (table.unfinishedFor(vmId) >= room("perVm", max.maxRunningPerVm))
      return tooMany(`${max.maxRunningPerVm} operations of this VM are under way`, 1000);
    return undefined;
  }
}
