import { VFIO_DRIVER, type PciFunction, type PciFunctions } from "../../hardware/pci/pci.ts";
import type { Reading } from "../../hardware/reading.ts";
import type { Part } from "./cells.ts";
import type { PciDevice } from "../host.ts";
import type { HostDevice } from "../capacity/ledger.ts";
import { defined } from "../../kernel/defined.ts";

/** Names of a vendor's product, as libvirt knows them. */
export interface DeviceNames {
  readonly vendor?: string;
  readonly product?: string;
}

/** The same for every function of one product. */
export const productKey = (of: { readonly vendorId: number; readonly productId: number }): string =>
  `${of.vendorId.toString(16)}:${of.productId.toString(16)}`;

/** By class code (PCI Code and ID Assignment): the first that fits. */
const kinds: readonly (readonly [mask: number, code: number, kind: PciDevice["kind"]])[] = [
  [0xff0000, 0x010000, "storage"],
  [0xff0000, 0x020000, "network"],
  [0xff0000, 0x030000, "gpu"],
  [0xff0000, 0x0b0000, "accelerator"],
  [0xff0000, 0x100000, "accelerator"],
  [0xff0000, 0x120000, "accelerator"],
  [0xffff00, 0x0c0300, "usb"],
];

/** Screens of management controllers: made for people who look at the host from afar, not for guests. */
const screenVendors: ReadonlySet<number> = new Set([0x102b, 0x1a03]);

function kindOf({ classCode, vendorId }: PciFunction): PciDevice["kind"] {
  const kind = kinds.find(([mask, code]) => (classCode & mask) === code)?.[2] ?? "other";
  return kind === "gpu" && screenVendors.has(vendorId) ? "other" : kind;
}

/** The devices after one more look; as last known where the kernel could not list them. */
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

/** It is kept for guests, or from all. VFIO gives a group to nobody while a member has another driver. */
const isKeptFromHost = (driver: string): boolean => VFIO_DRIVER.test(driver) || driver === "pci-stub";

/**
 * Those that the operator took from the host for its guests, by giving them, and all else in their IOMMU groups, to
 * vfio-pci. All others stay the host's own; without a group a device can be given to nobody. `failing`: addresses of
 * devices that are not to be relied on, each with its virtual functions. `aliases`: the operator's name of a device by its
 * address or, with its vendor and product (10de:20b0), of all of a kind; that of the address goes before.
 */
export function devicesForGuests(
  devices: readonly PciDevice[],
  failing: ReadonlySet<string>,
  aliases: Readonly<Record<string, string>> = {},
): HostDevice[] {
  const groups = new Map<number, PciDevice[]>();
  for (const device of devices) {
    const { iommuGroup } = device;
    if (iommuGroup !== undefined) groups.set(iommuGroup, [...(groups.get(iommuGroup) ?? []), device]);
  }
  const aliasOf = new Map(Object.entries(aliases).map(([alias, match]) => [match, alias]));
  return devices.flatMap((device): HostDevice[] => {
    const { address, parent = address, cell, driver, iommuGroup } = device;
    if (driver !== "vfio-pci" || iommuGroup === undefined) return [];
    const group = groups.get(iommuGroup) ?? [];
    if (group.some((member) => member.driver !== undefined && !isKeptFromHost(member.driver))) return [];
    const alias = aliasOf.get(address) ?? aliasOf.get(idsOf(device));
    return [
      defined({
        address,
        alias,
        cell,
        iommuGroup,
        group: group.map((member) => member.address),
        healthy: !failing.has(address) && !failing.has(parent),
      }),
    ];
  });
}

/** As lspci -n writes them. */
const idsOf = ({ vendorId, productId }: PciDevice): string =>
  [vendorId, productId].map((id) => id.toString(16).padStart(4, "0")).join(":");
