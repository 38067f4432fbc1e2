import type { XmlElement } from "./element.ts";
import { unexpected } from "./unexpected.ts";

/** A PCI function of the host. */
export interface PciAddress {
  readonly domain: number;
  readonly bus: number;
  readonly slot: number;
  readonly function: number;
}

/** `<address domain='0x0000' bus='0x3b' slot='0x02' function='0x1'/>`; an absent domain is 0. */
export function parsePciAddress(element: XmlElement): PciAddress {
  return {
    domain: element.integerAttr("domain") ?? 0,
    bus: element.requireIntegerAttr("bus"),
    slot: element.requireIntegerAttr("slot"),
    function: element.requireIntegerAttr("function"),
  };
}

/** 0000:3b:02.1, as sysfs spells it. */
export function formatPciAddress(address: PciAddress): string {
  const { domain, bus, slot } = address;
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${hex(address.function, 1)}`;
}

/** The reverse of `formatPciAddress`. Throws XML_UNEXPECTED for what is none. */
export function parsePciName(name: string): PciAddress {
  const found = /^([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])$/.exec(name);
  if (found === null)
    throw unexpected("a PCI address", `is not like 0000:3b:02.1: ${JSON.stringify(name.slice(0, 60))}`);
  const [domain = 0, bus = 0, slot = 0, fn = 0] = found.slice(1).map((digits) => Number.parseInt(digits, 16));
  return { domain, bus, slot, function: fn };
}

/** The attributes of an `<address>` element. */
export function pciAddressAttributes(address: PciAddress): Record<keyof PciAddress, string> {
  return {
    domain: `0x${hex(address.domain, 4)}`,
    bus: `0x${hex(address.bus, 2)}`,
    slot: `0x${hex(address.slot, 2)}`,
    function: `0x${hex(address.function, 1)}`,
  };
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
