import * as z from "../kernel/zod.ts";
import { withoutUndefined } from "../kernel/defined.ts";

const names = z.array(z.string().min(1).max(128)).max(1024);
const limit = z.number().int().min(0).nullable();
const macRange = z
  .string()
  .regex(
    /^[0-9a-f]{2}(:[0-9a-f]{2}){2,5}$/,
    "must be a MAC address or its first 3 to 5 bytes, in lower case: 52:54:00:aa",
  );
const addressRange = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
  error: "must be an IP address or a CIDR range, for example 10.1.0.0/24",
});

const quotas = {
  vms: limit.describe("VMs and reservations."),
  vcpus: limit.describe("vCPUs of all VMs and reservations."),
  memoryMiB: limit.describe("Guest memory of all VMs and reservations, in MiB."),
  diskMiB: limit.describe(
    "Capacity of the disks of the tenant's VMs, in MiB. With a limit, the tenant's callers cannot keep the disks of deleted VMs.",
  ),
  runningOperations: limit.describe(
    "Unfinished operations on the tenant's VMs; null: 500. The tenant's own callers may use three quarters, so that the provider can still act.",
  ),
  keptOperations: limit.describe(
    "Stored operations on the tenant's VMs, including ended ones; null: 5000. The tenant's own callers may use three quarters.",
  ),
};

const permissions = {
  networks: names.describe("libvirt networks for NICs of the tenant's callers."),
  bridges: names.describe("Host bridges of vm.bridges for NICs of the tenant's callers."),
  macAddresses: z
    .array(macRange)
    .max(1024)
    .describe("MAC addresses that the tenant's callers may choose: full addresses or prefixes."),
  addresses: z
    .array(addressRange)
    .max(1024)
    .describe(
      "IP addresses (CIDR) that the tenant's callers may list in allowed_addresses. Each NIC must list its own.",
    ),
  learnedAddresses: z
    .boolean()
    .describe(
      "Whether the tenant's callers may create NICs without allowed_addresses. Their guests can take any address, even of other guests. Only for tenants with their own networks.",
    ),
  allowSpoofing: z
    .boolean()
    .describe("Whether the tenant's callers may request NICs without the anti-spoofing filter."),
  devices: names.describe(
    "Names of host.deviceAliases, or PCI addresses, that the tenant's callers may use.",
  ),
  hugePages: z.boolean().describe("Whether the tenant's callers may request huge pages."),
  dedicatedCpus: z.boolean().describe("Whether the tenant's callers may request dedicated CPUs."),
  suspend: z
    .boolean()
    .describe(
      "Whether the tenant's callers may suspend VMs. Their memory then fills the host's disk (/var/lib/libvirt/qemu/save), which no quota counts.",
    ),
  snapshotMemory: z
    .boolean()
    .describe(
      "Whether the tenant's callers may keep the memory of VMs in snapshots: 4 for each VM, each at most twice its memory. It fills the host's disk (vm.dumpDirectory), which no quota counts.",
    ),
  guestExec: z
    .boolean()
    .describe(
      "Whether callers, also those without a tenant, may run programs in the guests of the tenant's VMs. Not without guest.execAllowed.",
    ),
};

const quotasSchema = z.strictObject({
  vms: quotas.vms.default(null),
  vcpus: quotas.vcpus.default(null),
  memoryMiB: quotas.memoryMiB.default(null),
  diskMiB: quotas.diskMiB.default(null),
  runningOperations: quotas.runningOperations.default(null),
  keptOperations: quotas.keptOperations.default(null),
});

const rulesSchema = z.strictObject({
  networks: permissions.networks.default([]),
  bridges: permissions.bridges.default([]),
  macAddresses: permissions.macAddresses.default([]),
  addresses: permissions.addresses.default([]),
  learnedAddresses: permissions.learnedAddresses.default(false),
  allowSpoofing: permissions.allowSpoofing.default(false),
  devices: permissions.devices.default([]),
  hugePages: permissions.hugePages.default(false),
  dedicatedCpus: permissions.dedicatedCpus.default(false),
  suspend: permissions.suspend.default(false),
  snapshotMemory: permissions.snapshotMemory.default(false),
  guestExec: permissions.guestExec.default(true),
  quotas: quotasSchema
    .prefault({})
    .describe("Limits of the tenant on this host, for every caller; null: no limit of its own."),
});

const tenantName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/,
    "must be a tenant's name: A-Z, a-z, 0-9, '.', '_', ':' and '-'",
  );

export const tenantsSchema = z.strictObject({
  default: rulesSchema
    .prefault({})
    .describe(
      "Rules for tenants and keys that byName does not set. The allow-lists bind callers with a certificate of that tenant only; quotas bind the tenant for every caller.",
    ),
  byName: z
    .record(
      tenantName,
      z.strictObject({ ...permissions, quotas: z.strictObject(quotas).partial() }).partial(),
      { error: ({ code }) => (code === "invalid_key" ? "must be a tenant's name" : undefined) },
    )
    .default({})
    .describe("The same keys by tenant. A missing key is taken from tenants.default."),
});

type Tenants = z.output<typeof tenantsSchema>;
/** Permissions and limits of one tenant. */
export type TenantRules = z.output<typeof rulesSchema>;

/** The rules of one tenant: its own keys override the defaults. */
export function tenantRules({ default: usual, byName }: Tenants, tenant: string): TenantRules {
  const own = Object.hasOwn(byName, tenant) ? byName[tenant] : undefined;
  return {
    ...usual,
    ...withoutUndefined(own ?? {}),
    quotas: { ...usual.quotas, ...withoutUndefined(own?.quotas ?? {}) },
  };
}
