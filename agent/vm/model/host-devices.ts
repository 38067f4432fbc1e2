import { formatPciAddress, parsePciName, type DomainDevices } from "../../libvirt/xml/index.ts";
import { pciAlias } from "./device-names.ts";

type HostDevice = DomainDevices["hostDevices"][number];

/** A PCI device of the host in a domain: libvirt binds it to VFIO, and afterwards returns it to its driver. */
export const hostDevice = (address: string): HostDevice => ({
  type: "pci",
  managed: true,
  address: parsePciName(address),
  alias: pciAlias(address),
});

/** Whether it has the host device of this alias, also one without the alias, as in the domains of earlier agents. */
export const hasHostDevice = ({ hostDevices }: Pick<DomainDevices, "hostDevices">, alias: string): boolean =>
  hostDevices.some((device) => device.type === "pci" && pciAlias(formatPciAddress(device.address)) === alias);
