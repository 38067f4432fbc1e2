import { VFIO_DRIVER, type PciFunction, type PciFunctions } from "../../hardware/pci/pci.ts";
import type { Reading } from "../../hardware/reading.ts";
import type { Part } from "./cells.ts";
import type { PciDevice } from "../host.ts";
import type { HostDevice, WithheldDevice } from "../capacity/device-capacity.ts";
import { defined } from "../../kernel/defined.ts";

/** Vendor and product names from libvirt. */
export interface DeviceNames {
  readonly vendor?: string;
  readonly product?: string;
}

/** Key of a product, the same for all its functions. */
export const productKey = (of: { readonly vendorId: number; readonly productId: number }): string =>
  `${of.vendorId.toString(16)}:${of.productId.toString(16)}`;

/** By class code (PCI Code and ID Assignment): the first match. */
const kinds: readonly (readonly [mask: number, code: number, kind: PciDevice["kind"]])[] = [
  [0xff0000, 0x010000, "storage"],
  [0xff0000, 0x020000, "network"],
  [0xff0000, 0x030000, "gpu"],
  [0xff0000, 0x0b0000, "accelerator"],
  [0xff0000, 0x100000, "accelerator"],
  [0xff0000, 0x120000, "accelerator"],
  [0xffff00, 0x0c0300, "usb"],
];

/** Vendors of management controllers' display adapters, which serve remote consoles, not guests. */
const screenVendors: ReadonlySet<number> = new Set([0x102b, 0x1a03]);

function kindOf({ classCode, vendorId }: PciFunction): PciDevice["kind"] {
  const kind = kinds.find(([mask, code]) => (classCode & mask) === code)?.[2] ?? "other";
  return kind === "gpu" && screenVendors.has(vendorId) ? "other" : kind;
}

/** The devices of a new reading, or the last known ones if the kernel could not list them. */
export function assembleDevices(
  functions: Reading<PciFunctions>,
  names: ReadonlyMap<string, DeviceNames>,
  before: readonly PciDevice[],
): Part<readonly PciDevice[]> {
  if (functions.kind === "unsupported") return { value: [], reasons: [] };
  if (functions.kind === "failed") return { value: before, reasons: [`PCI devices: ${functions.reason}`] };
  const value = functions.value.functions.map((found): PciDevice => {
    return { ...found, kind: kindOf(found), ...names.get(productKey(found)) };
  });
  return { value, reasons: functions.value.unread };
}

/** Drivers that keep a device for guests, or from all use. VFIO refuses a group while a member has another driver. */
const isKeptFromHost = (driver: string): boolean => VFIO_DRIVER.test(driver) || driver === "pci-stub";

/**
 * Devices for guests: the operator bound them, and all devices in their IOMMU groups, to vfio-pci. All others stay with
 * the host; a device without a group cannot be assigned. `failing`: addresses of unreliable devices, including their
 * virtual functions. `aliases`: the operator's names by address or by vendor and product (10de:20b0); an address takes
 * precedence.
 */
export function devicesForGuests(
  devices: readonly PciDevice[],
  failing: ReadonlySet<string>,
  aliases: Readonly<Record<string, string>> = {},
): HostDevice[] {
  const groupOf = groupsOf(devices);
  const aliasOf = aliasesOf(aliases);
  return devices.flatMap((device): HostDevice[] => {
    const { address, parent = address, cell, iommuGroup } = device;
    if (iommuGroup === undefined || whyWithheld(device, groupOf(device)) !== undefined) return [];
    return [
      defined({
        address,
        alias: aliasOf(device),
        cell,
        iommuGroup,
        group: groupOf(device).map((member) => member.address),
        healthy: !failing.has(address) && !failing.has(parent),
      }),
    ];
  });
}

/** The devices that no guest can have, and why. `aliases`: as for devicesForGuests. */
export function devicesWithheld(
  devices: readonly PciDevice[],
  aliases: Readonly<Record<string, string>> = {},
): WithheldDevice[] {
  const groupOf = groupsOf(devices);
  const aliasOf = aliasesOf(aliases);
  const hasIommu = devices.some(({ iommuGroup }) => iommuGroup !== undefined);
  return devices.flatMap((device): WithheldDevice[] => {
    const withheld = whyWithheld(device, groupOf(device), hasIommu);
    if (withheld === undefined) return [];
    return [defined({ address: device.address, alias: aliasOf(device), ...withheld })];
  });
}

/**
 * Undefined: guests can have it. `group`: the devices in its IOMMU group. Tenants read the reason, which therefore names no other
 * device.
 */
function whyWithheld(
  { driver, iommuGroup }: PciDevice,
  group: readonly PciDevice[],
  hasIommu = true,
): Pick<WithheldDevice, "cause" | "why"> | undefined {
  if (iommuGroup === undefined) {
    const why = hasIommu
      ? "it is in no IOMMU group that the host shows"
      : "the host has no IOMMU, or it is off; enable it in the firmware (VT-d, AMD-Vi) and the kernel (intel_iommu=on)";
    return { cause: "no_iommu", why };
  }
  const bind = "if the host does not need it, bind it, and all devices of its IOMMU group, to vfio-pci";
  if (driver === undefined) return { cause: "no_driver", why: `the host shows no driver for it; ${bind}` };
  if (driver !== "vfio-pci") return { cause: "host_driver", why: `a driver of the host has it; ${bind}` };
  const isShared = group.some((member) => member.driver !== undefined && !isKeptFromHost(member.driver));
  if (!isShared) return undefined;
  return {
    cause: "shared_group",
    why: `a driver of the host has another device of its IOMMU group; ${bind}`,
  };
}

function groupsOf(devices: readonly PciDevice[]): (device: PciDevice) => readonly PciDevice[] {
  const groups = new Map<number, PciDevice[]>();
  for (const device of devices) {
    const { iommuGroup } = device;
    if (iommuGroup !== undefined) groups.set(iommuGroup, [...(groups.get(iommuGroup) ?? []), device]);
  }
  return ({ iommuGroup }) => (iommuGroup === undefined ? [] : (groups.get(iommuGroup) ?? []));
}

function aliasesOf(aliases: Readonly<Record<string, string>>): (device: PciDevice) => string | undefined {
  const aliasOf = new Map(Object.entries(aliases).map(([alias, match]) => [match, alias]));
  return (device) => aliasOf.get(device.address) ?? aliasOf.get(idsOf(device));
}

/** As in lspci -n. */
const idsOf = ({ vendorId, productId }: PciDevice): string =>
  [vendorId, productId].map((id) => id.toString(16).padStart(4, "0")).join(":");
