import type { DiskSpec } from "../../contract/spec.ts";

/** libvirt keeps an alias only if it begins with "ua-". */
export const ALIAS_PREFIX = { disk: "ua-disk-", nic: "ua-nic-", pci: "ua-pci-" } as const;

/** Of the disk with the cloud-init seed. */
export const SEED_ALIAS = "ua-seed";

/** Of the devices with the memory that a running guest was given beyond its start, numbered from 1. */
const GROWTH_ALIAS_PREFIX = "ua-memory-";
export const growthAlias = (number: number): string => `${GROWTH_ALIAS_PREFIX}${number}`;
export const isGrowthAlias = (alias: string | undefined): boolean =>
  alias?.startsWith(GROWTH_ALIAS_PREFIX) === true;

export const diskAlias = (name: string): string => `${ALIAS_PREFIX.disk}${name}`;
export const nicAlias = (name: string): string => `${ALIAS_PREFIX.nic}${name}`;
/** Of the host's device at this address, whose ":" and "." no alias may have. */
export const pciAlias = (address: string): string => `${ALIAS_PREFIX.pci}${address.replaceAll(/[:.]/g, "-")}`;

/** The spec's own name of a device, from its alias in the domain. */
export function deviceName(kind: keyof typeof ALIAS_PREFIX, alias: string | undefined): string | undefined {
  const prefix = ALIAS_PREFIX[kind];
  return alias?.startsWith(prefix) === true ? alias.slice(prefix.length) : undefined;
}

/** The reverse of `pciAlias`. */
export const pciAddressIn = (alias: string): string | undefined =>
  deviceName("pci", alias)?.replace(/^(.+)-(..)-(..)-(.)$/, "$1:$2:$3.$4");

/** libvirt's name of the disk at a position: vda, ..., or of a CD-ROM drive: sda, ... */
export const diskTarget = (index: number, kind: DiskSpec["source"]["kind"] = "new"): string =>
  `${kind === "cdrom" ? "sd" : "vd"}${letters(index)}`;

/** 0 -> a, 25 -> z, 26 -> aa. */
function letters(index: number): string {
  const letter = String.fromCharCode(97 + (index % 26));
  return index < 26 ? letter : letters(Math.floor(index / 26) - 1) + letter;
}
