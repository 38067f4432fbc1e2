import { formatExactBytes } from "../../kernel/text/bytes.ts";
import { SocleError } from "../../kernel/errors.ts";

/** What the VMs of one tenant take: those that are there, those that are being created, and what is reserved. */
export interface TenantUse {
  readonly vms: number;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Capacity of the disks that were made for them. */
  readonly diskBytes: number;
}

/** The most that one tenant may take of this host; null: no limit. */
export type TenantQuota = { readonly [Dimension in keyof TenantUse]: number | null };

/** What a tenant has of this host. */
export interface TenantShare {
  readonly tenant: string;
  readonly use: TenantUse;
  readonly quota?: TenantQuota | undefined;
}

export const dimensions = {
  vms: { name: "vms", unit: "VMs", format: String },
  vcpus: { name: "vcpus", unit: "vCPUs", format: String },
  memoryBytes: { name: "memory", unit: "of memory", format: formatExactBytes },
  diskBytes: { name: "disk", unit: "of disks", format: formatExactBytes },
} as const;

export const noUse: TenantUse = { vms: 0, vcpus: 0, memoryBytes: 0, diskBytes: 0 };

/** What one VM takes. */
export const useOf = (
  { vcpus, memoryBytes }: Pick<TenantUse, "vcpus" | "memoryBytes">,
  diskBytes: number,
): TenantUse => ({ vms: 1, vcpus, memoryBytes, diskBytes });

/** What these VMs take, by their tenant. One without a tenant counts for none. */
export function useByTenant(
  vms: Iterable<Pick<TenantUse, "vcpus" | "memoryBytes"> & { tenant?: string; diskBytes?: number }>,
): ReadonlyMap<string, TenantUse> {
  const uses = new Map<string, TenantUse>();
  for (const { tenant = "", diskBytes = 0, vcpus, memoryBytes } of vms) {
    if (tenant === "") continue;
    const use = uses.get(tenant) ?? noUse;
    uses.set(tenant, {
      vms: use.vms + 1,
      vcpus: use.vcpus + vcpus,
      memoryBytes: use.memoryBytes + memoryBytes,
      diskBytes: use.diskBytes + diskBytes,
    });
  }
  return uses;
}

/**
 * Throws `exhausted` TENANT_QUOTA_EXCEEDED naming the first dimension in which the tenant would pass its quota. What is
 * not asked for is not refused, also where a quota was lowered below what the tenant has.
 */
export function requireWithinQuota(
  tenant: string,
  quota: TenantQuota,
  { used, asked }: { readonly used: TenantUse; readonly asked: TenantUse },
): void {
  for (const key of Object.keys(dimensions) as (keyof typeof dimensions)[]) {
    const limit = quota[key];
    if (limit === null || asked[key] === 0 || used[key] + asked[key] <= limit) continue;
    const { name, unit, format } = dimensions[key];
    const message = `tenant ${tenant} would pass its quota of ${format(limit)} ${unit} on this host: ${format(used[key])} used, ${format(asked[key])} asked for; delete VMs or release reservations, or have the quota raised (tenants.byName.${tenant}.quotas, or tenants.default.quotas)`;
    const metadata = {
      tenant,
      dimension: name,
      limit: String(limit),
      used: String(used[key]),
      asked: String(asked[key]),
    };
    throw new SocleError("exhausted", "TENANT_QUOTA_EXCEEDED", message, { details: { metadata } });
  }
}
