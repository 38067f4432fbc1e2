import type { Operation } from "./operation.ts";

/** Ended operations that tenants' own callers began: kept only while there is room for other tenants' operations. */
export class Forgettable {
  /** By tenant, in the order of their end. */
  readonly #byTenant = new Map<string, Set<string>>();

  /** Call once it has ended. */
  add({ id, tenant, byTenant }: Operation): void {
    if (tenant === undefined || byTenant !== true) return;
    const ids = this.#byTenant.get(tenant);
    if (ids === undefined) this.#byTenant.set(tenant, new Set([id]));
    else ids.add(id);
  }

  remove({ id, tenant = "" }: Operation): void {
    const ids = this.#byTenant.get(tenant);
    if (ids?.delete(id) === true && ids.size === 0) this.#byTenant.delete(tenant);
  }

  /** The oldest of the tenant with the most; undefined: there is none. */
  get next(): string | undefined {
    let most: ReadonlySet<string> = new Set<string>();
    for (const ids of this.#byTenant.values()) if (ids.size > most.size) most = ids;
    const [oldest] = most;
    return oldest;
  }
}
