import { BlockList, isIP, isIPv6, SocketAddress } from "node:net";

/** Whether the text is an IP address, without brackets. */
export const isAddress = (text: string): boolean => isIP(text) !== 0;

const familyOf = (address: string): "ipv4" | "ipv6" => (isIPv6(address) ? "ipv6" : "ipv4");

/** One spelling for each IP address. */
export const canonicalAddress = (address: string): string =>
  isIPv6(address) ? new SocketAddress({ address, family: "ipv6" }).address : address;

/** Whether an IP address is one of these addresses, or in one of these ranges (CIDR). */
export function ipRanges(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const range of ranges) {
    const [network = "", prefix] = range.split("/");
    if (prefix === undefined) list.addAddress(network, familyOf(network));
    else list.addSubnet(network, Number(prefix), familyOf(network));
  }
  return (address) => list.check(address, familyOf(address));
}
