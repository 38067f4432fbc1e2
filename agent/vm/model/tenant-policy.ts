import { SocleError } from "../../kernel/errors.ts";
import { ipRanges } from "../../kernel/text/ip-ranges.ts";
import { PLAIN_PAGE_BYTES } from "../../contract/spec-values.ts";
import type { VmSpec } from "../../contract/spec.ts";

/** What the callers of one tenant may request. Everything else is denied. */
export interface TenantPermissions {
  readonly networks: readonly string[];
  readonly bridges: readonly string[];
  /** MAC addresses, or prefixes of them. */
  readonly macAddresses: readonly string[];
  /** IP addresses, or CIDR ranges. */
  readonly addresses: readonly string[];
  /** Whether the filter of a NIC without addresses may learn one from the guest. */
  readonly learnedAddresses: boolean;
  readonly allowSpoofing: boolean;
  /** Aliases or PCI addresses. */
  readonly devices: readonly string[];
  readonly hugePages: boolean;
  readonly dedicatedCpus: boolean;
  /** Whether a deleted VM's disks may be kept, where no quota counts them. */
  readonly keepDisks: boolean;
  /** Whether VMs may be suspended: their memory fills the host's disk, which no quota counts. */
  readonly suspend: boolean;
  /** Whether the memory of VMs may be kept in snapshots, as above. */
  readonly snapshotMemory: boolean;
  /** Whether any caller may run programs in the guests of the tenant's VMs. */
  readonly guestExec: boolean;
}

export const nothingPermitted: TenantPermissions = {
  networks: [],
  bridges: [],
  macAddresses: [],
  addresses: [],
  learnedAddresses: false,
  allowSpoofing: false,
  devices: [],
  hugePages: false,
  dedicatedCpus: false,
  keepDisks: true,
  suspend: false,
  snapshotMemory: false,
  guestExec: false,
};

export interface TenantPolicy {
  readonly permissionsOf: (tenant: string) => TenantPermissions;
}

/**
 * Checks what a caller of one tenant requests, against the tenant's permissions. They do not bind callers without a
 * tenant restriction. Throws `denied` NETWORK_NOT_ALLOWED, MAC_NOT_ALLOWED, ADDRESS_NOT_ALLOWED, ADDRESS_REQUIRED,
 * SPOOFING_NOT_ALLOWED, DEVICE_NOT_ALLOWED, HUGE_PAGES_NOT_ALLOWED and DEDICATED_CPUS_NOT_ALLOWED.
 */
export function requirePermitted(
  spec: Pick<VmSpec, "tenant" | "nics" | "placement">,
  permissions: TenantPermissions,
): void {
  const { tenant, nics, placement } = spec;
  const refuse = (reason: string, what: string, key: string, metadata: Record<string, string>): never => {
    const message = `tenant ${tenant} may not ${what} on this host; ask its operator to allow it (tenants.byName.${tenant}.${key}, or tenants.default.${key})`;
    throw new SocleError("denied", reason, message, { details: { metadata: { tenant, ...metadata } } });
  };
  const isOwnAddress = ipRanges(permissions.addresses);
  for (const nic of nics) {
    const { name, source, mac, allowSpoofing } = nic;
    if (source.kind === "network" && !permissions.networks.includes(source.network))
      refuse("NETWORK_NOT_ALLOWED", `put a NIC on network ${source.network}`, "networks", {
        nic: name,
        network: source.network,
      });
    if (source.kind === "bridge" && !permissions.bridges.includes(source.bridge))
      refuse("NETWORK_NOT_ALLOWED", `put a NIC on bridge ${source.bridge}`, "bridges", {
        nic: name,
        bridge: source.bridge,
      });
    if (mac !== undefined && !permissions.macAddresses.some((own) => isWithin(mac, own)))
      refuse("MAC_NOT_ALLOWED", `choose the MAC address ${mac}`, "macAddresses", { nic: name, mac });
    const foreign = nic.allowedAddresses.find((address) => !isOwnAddress(address));
    if (foreign !== undefined)
      refuse("ADDRESS_NOT_ALLOWED", `choose the address ${foreign}`, "addresses", {
        nic: name,
        address: foreign,
      });
    if (!permissions.learnedAddresses && nic.allowedAddresses.length === 0 && !allowSpoofing)
      refuse("ADDRESS_REQUIRED", "have a NIC without allowed_addresses", "learnedAddresses", { nic: name });
    if (allowSpoofing && !permissions.allowSpoofing)
      refuse("SPOOFING_NOT_ALLOWED", "have a NIC without the anti-spoofing filter", "allowSpoofing", {
        nic: name,
      });
  }
  if (placement === undefined) return;
  const device = placement.devices.find((wanted) => !permissions.devices.includes(wanted));
  if (device !== undefined) refuse("DEVICE_NOT_ALLOWED", `use the device ${device}`, "devices", { device });
  if (placement.pageSizeBytes !== PLAIN_PAGE_BYTES && !permissions.hugePages)
    refuse("HUGE_PAGES_NOT_ALLOWED", "use huge pages", "hugePages", {
      page_size_bytes: String(placement.pageSizeBytes),
    });
  if (placement.dedicatedCpus && !permissions.dedicatedCpus)
    refuse("DEDICATED_CPUS_NOT_ALLOWED", "use dedicated CPUs", "dedicatedCpus", {});
}

const isWithin = (mac: string, range: string): boolean => mac === range || mac.startsWith(`${range}:`);

/** Throws `denied` DISKS_NOT_KEPT: kept disks would bypass the tenant's quota of disks. */
export function requireDisksGo(tenant: string, { keepDisks }: TenantPermissions): void {
  if (keepDisks) return;
  const message = `tenant ${tenant} has a quota of disks on this host, so its callers may not keep a deleted VM's disks; delete them too, or have the provider keep them`;
  throw new SocleError("denied", "DISKS_NOT_KEPT", message, { details: { metadata: { tenant } } });
}

/** Throws `denied` SUSPEND_NOT_ALLOWED. */
export function requireSuspendable(tenant: string, { suspend }: TenantPermissions): void {
  if (suspend) return;
  const message = `tenant ${tenant} may not suspend VMs on this host, since their memory fills its disk; ask its operator to allow it (tenants.byName.${tenant}.suspend, or tenants.default.suspend), or pause the VM`;
  throw new SocleError("denied", "SUSPEND_NOT_ALLOWED", message, { details: { metadata: { tenant } } });
}

/** Throws `denied` GUEST_EXEC_NOT_ALLOWED. */
export function requireGuestExec(tenant: string, { guestExec }: TenantPermissions): void {
  if (guestExec) return;
  const message = `programs may not be run in the guests of tenant ${tenant} on this host; ask its operator to allow it (guest.execAllowed, tenants.byName.${tenant}.guestExec or tenants.default.guestExec)`;
  throw new SocleError("denied", "GUEST_EXEC_NOT_ALLOWED", message, { details: { metadata: { tenant } } });
}
