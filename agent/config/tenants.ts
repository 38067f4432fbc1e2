import * as z from "zod";
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
  vms: limit.describe("VMs, and reservations for them."),
  vcpus: limit.describe("vCPUs of all VMs and reservations."),
  memoryMiB: limit.describe("Guest memory of all VMs and reservations, in MiB."),
  diskMiB: limit.describe(
    "Capacity of the disks that were made for the tenant's VMs, in MiB. With it, the tenant's callers may not keep disks of VMs that they delete.",
  ),
  runningOperations: limit.describe(
    "Operations on the tenant's VMs that have not ended; null: 500. The tenant's own callers get three quarters of them, so that the provider is not kept from the VMs.",
  ),
  keptOperations: limit.describe(
    "Operations on the tenant's VMs that are kept, ended ones included; null: 5000. The tenant's own callers get three quarters of them.",
  ),
};

const permissions = {
  networks: names.describe("libvirt networks that the tenant's callers may put NICs on."),
  bridges: names.describe("Host bridges, of vm.bridges, that the tenant's callers may put NICs on."),
  macAddresses: z
    .array(macRange)
    .max(1024)
    .describe("MAC addresses that the tenant's callers may choose: whole ones, or their first bytes."),
  addresses: z
    .array(addressRange)
    .max(1024)
    .describe(
      "IP addresses (CIDR) that the tenant's callers may put into allowed_addresses. Each NIC has to name its own.",
    ),
  learnedAddresses: z
    .boolean()
    .describe(
      "Whether the tenant's callers may have NICs without allowed_addresses, whose guest takes any address, also another's. For tenants with networks of their own.",
    ),
  allowSpoofing: z
    .boolean()
    .describe("Whether the tenant's callers may ask for NICs without the anti-spoofing filter."),
  devices: names.describe(
    "Names of host.deviceAliases, or PCI addresses, that the tenant's callers may use.",
  ),
  hugePages: z.boolean().describe("Whether the tenant's callers may ask for huge pages."),
  dedicatedCpus: z.boolean().describe("Whether the tenant's callers may ask for dedicated CPUs."),
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
  quotas: quotasSchema
    .prefault({})
    .describe("What the tenant may take of this host, whoever asks for it; null: no limit of its own."),
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
      "What a tenant may do where byName does not say. The allow-lists bind callers whose certificate is for the tenant alone; quotas bind the tenant whoever asks.",
    ),
  byName: z
    .record(
      tenantName,
      z.strictObject({ ...permissions, quotas: z.strictObject(quotas).partial() }).partial(),
      { error: ({ code }) => (code === "invalid_key" ? "must be a tenant's name" : undefined) },
    )
    .default({})
    .describe("The same keys by tenant. A key that is left out is as in tenants.default."),
});

type Tenants = z.output<typeof tenantsSchema>;
/** What one tenant may do and take. */
export type TenantRules = z.output<typeof rulesSchema>;

/** The rules of one tenant: its own keys over the default ones. */
export function tenantRules({ default: usual, byName }: Tenants, tenant: string): TenantRules {
  const own = Object.hasOwn(byName, tenant) ? byName[tenant] : undefined;
  return {
    ...usual,
    ...withoutUndefined(own ?? {}),
    quotas: { ...usual.quotas, ...withoutUndefined(own?.quotas ?? {}) },
  };
}
