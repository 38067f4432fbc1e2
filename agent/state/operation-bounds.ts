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
  /** Of one tenant's VMs, whoever asks: these do not count as their caller's. Default 5000. */
  readonly maxRetainedPerTenant?: number;
  /** Default 500. */
  readonly maxRunningPerTenant?: number;
  /** Default 1000. */
  readonly maxRunningPerCaller?: number;
  /** Under way and waiting for one VM. Default 16. */
  readonly maxRunningPerVm?: number;
}

/** Beyond each bound there is room for what relieves the host: stops get through when nothing else does. */
const reserve = { retained: 1000, running: 1000, perVm: 8 };

/** How many operations there may be. */
export class OperationBounds {
  readonly #max: Required<Omit<BoundsOptions, "permit">>;
  readonly permit: Permit;

  constructor(options: BoundsOptions) {
    this.permit = options.permit ?? new Permit();
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
    { vmId, urgent = false, ...who }: Charged & { vmId: string; urgent?: boolean | undefined },
  ): SocleError | undefined {
    if (this.permit.refusal !== undefined) return this.permit.refusal;
    const max = this.#max;
    const room = (kind: keyof typeof reserve, bound: number): number => bound + (urgent ? reserve[kind] : 0);
    const expiry = (): number => table.nextExpiryInMs() ?? 60_000;
    if (table.size >= room("retained", max.maxRetained))
      return tooMany(`${max.maxRetained} operations are kept`, expiry());
    const isTenants = who.tenant !== undefined;
    const whose = isTenants ? `the tenant ${who.tenant}` : "this caller";
    const retained = isTenants ? max.maxRetainedPerTenant : max.maxRetainedPerCaller;
    if (table.heldOf(who) >= room("retained", retained))
      return tooMany(`${retained} operations of ${whose} are kept`, expiry());
    if (table.unfinished >= room("running", max.maxRunning))
      return tooMany(`${max.maxRunning} operations are under way`, 1000);
    const running = isTenants ? max.maxRunningPerTenant : max.maxRunningPerCaller;
    if (table.unfinishedOf(who) >= room("running", running))
      return tooMany(`${running} operations of ${whose} are under way`, 1000);
    if (table.unfinishedFor(vmId) >= room("perVm", max.maxRunningPerVm))
      return tooMany(`${max.maxRunningPerVm} operations of this VM are under way`, 1000);
    return undefined;
  }
}
