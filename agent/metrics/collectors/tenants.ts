import { collector } from "../collector.ts";
import { gauge } from "../family.ts";

/** Most hosts have few tenants; of more, those with the most VMs are shown. */
const MOST_TENANTS = 256;
const by = ["tenant"] as const;

export const tenants = collector(
  "tenants",
  {
    count: gauge("socle_tenants", "Tenants that have VMs or reservations on this host."),
    vms: gauge("socle_tenant_vms", "VMs of the tenant, and reservations for them.", by),
    vcpus: gauge("socle_tenant_vcpus", "vCPUs of the tenant's VMs and reservations.", by),
    memory: gauge("socle_tenant_memory_bytes", "Guest memory of the tenant's VMs and reservations.", by),
    disk: gauge("socle_tenant_disk_bytes", "Capacity of the disks made for the tenant's VMs.", by),
    quotaVms: gauge("socle_tenant_quota_vms", "The tenant's quota of VMs, where it has one.", by),
    quotaVcpus: gauge("socle_tenant_quota_vcpus", "The tenant's quota of vCPUs, where it has one.", by),
    quotaMemory: gauge(
      "socle_tenant_quota_memory_bytes",
      "The tenant's quota of guest memory, where it has one.",
      by,
    ),
    quotaDisk: gauge("socle_tenant_quota_disk_bytes", "The tenant's quota of disks, where it has one.", by),
  },
  ({ tenants: read }, emit) => {
    const all = read();
    emit.count(all.length);
    const shown = [...all].sort((a, b) => b.use.vms - a.use.vms).slice(0, MOST_TENANTS);
    for (const { tenant, use, quota } of shown) {
      emit.vms(use.vms, tenant);
      emit.vcpus(use.vcpus, tenant);
      emit.memory(use.memoryBytes, tenant);
      emit.disk(use.diskBytes, tenant);
      if (quota === undefined) continue;
      emit.quotaVms(quota.vms ?? undefined, tenant);
      emit.quotaVcpus(quota.vcpus ?? undefined, tenant);
      emit.quotaMemory(quota.memoryBytes ?? undefined, tenant);
      emit.quotaDisk(quota.diskBytes ?? undefined, tenant);
    }
  },
);
