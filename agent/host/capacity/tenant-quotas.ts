import { formatExactBytes } from "../../kernel/text/bytes.ts";
import { SocleError } from "../../kernel/errors.ts";

/** Resource use of one tenant: existing VMs, VMs being created, reservations, images and volumes. */
export interface TenantUsage {
  readonly vms: number;
  readonly vcpus: number;
  readonly memoryBytes: number;
  /** Capacity of the disks created for its VMs and of its volumes, and the size of its images. */
  readonly diskBytes: number;
}

/** Limits of one tenant on this host; null: no limit. */
export type TenantQuota = { readonly [Dimension in keyof TenantUsage]: number | null };

/** A tenant's use and quota on this host. */
export interface TenantShare {
  readonly tenant: string;
  readonly use: TenantUsage;
  readonly quota?: TenantQuota | undefined;
}

export const dimensions = {
  vms: { name: "vms", unit: "VMs", format: String },
  vcpus: { name: "vcpus", unit: "vCPUs", format: String },
  memoryBytes: { name: "memory", unit: "of memory", format: formatExactBytes },
  diskBytes: { name: "disk", unit: "of disks", format: formatExactBytes },
} as const;

export const noUse: TenantUsage = { vms: 0, vcpus: 0, memoryBytes: 0, diskBytes: 0 };

/** Resource use of one VM. */
export const useOf = (
  { vcpus, memoryBytes }: Pick<TenantUsage, "vcpus" | "memoryBytes">,
  diskBytes: number,
): TenantUsage => ({ vms: 1, vcpus, memoryBytes, diskBytes });

/** Use of these VMs, and of the growth of VMs of images and of volumes (`vms` is 0), by tenant. Those without a tenant are not counted. */
export function useByTenant(
  parts: Iterable<Omit<TenantUsage, "vms" | "diskBytes"> & Partial<TenantUsage> & { tenant?: string }>,
): ReadonlyMap<string, TenantUsage> {
  const uses = new Map<string, TenantUsage>();
  for (const { tenant = "", vms = 1, diskBytes = 0, vcpus, memoryBytes } of parts) {
    if (tenant === "") continue;
    const use = uses.get(tenant) ?? noUse;
    uses.set(tenant, {
      vms: use.vms + vms,
      vcpus: use.vcpus + vcpus,
      memoryBytes: use.memoryBytes + memoryBytes,
      diskBytes: use.diskBytes + diskBytes,
    });
  }
  return uses;
}

/**
 * Throws `exhausted` TENANT_QUOTA_EXCEEDED naming the first dimension in which the tenant would exceed its quota. Only
 * requested dimensions are checked: a quota may have been lowered below the tenant's use.
 */
export function requireWithinQuota(
  tenant: string,
  quota: TenantQuota,
  { used, requested }: { readonly used: TenantUsage; readonly requested: TenantUsage },
): void {
  for (const key of Object.keys(dimensions) as (keyof typeof dimensions)[]) {
    const limit = quota[key];
    if (limit === null || requested[key] === 0 || used[key] + requested[key] <= limit) continue;
    const { name, unit, format } = dimensions[key];
    const message = `tenant ${tenant} would exceed its quota of ${format(limit)} ${unit} on this host: ${format(used[key])} used, ${format(requested[key])} requested; delete VMs or release reservations, or raise the quota (tenants.byName.${tenant}.quotas, or tenants.default.quotas)`;
    const metadata = {
      tenant,
      dimension: name,
      limit: String(limit),
      used: String(used[key]),
      requested: String(requested[key]),
    };
    throw new SocleError("exhausted", "TENANT_QUOTA_EXCEEDED", message, { details: { metadata } });
  }
}
