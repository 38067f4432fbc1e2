/** How libvirt names its objects on the wire: what a lookup gives and what other calls take. */
import { int, string, struct, uuid, type Value } from "../rpc/xdr.ts";

/** `id` is -1 while the domain does not run. */
export const domain = struct({ name: string(), uuid, id: int });
export const domainSnapshot = struct({ name: string(), dom: domain });
export const domainCheckpoint = struct({ name: string(), dom: domain });
export const network = struct({ name: string(), uuid });
export const networkPort = struct({ net: network, uuid });
export const nwfilter = struct({ name: string(), uuid });
export const nwfilterBinding = struct({ portdev: string(), filtername: string() });
export const hostInterface = struct({ name: string(), mac: string() });
export const storagePool = struct({ name: string(), uuid });
/** `pool` is the pool's name; `key` is unique on the host (for most pools the path). */
export const storageVol = struct({ pool: string(), name: string(), key: string() });
export const nodeDevice = struct({ name: string() });
/** `usageType` is one of `SecretUsage`. */
export const secret = struct({ uuid, usageType: int, usageId: string() });

export type Domain = Value<typeof domain>;
export type DomainSnapshot = Value<typeof domainSnapshot>;
export type DomainCheckpoint = Value<typeof domainCheckpoint>;
export type Network = Value<typeof network>;
export type NetworkPort = Value<typeof networkPort>;
export type Nwfilter = Value<typeof nwfilter>;
export type NwfilterBinding = Value<typeof nwfilterBinding>;
export type HostInterface = Value<typeof hostInterface>;
export type StoragePool = Value<typeof storagePool>;
export type StorageVol = Value<typeof storageVol>;
export type NodeDevice = Value<typeof nodeDevice>;
export type Secret = Value<typeof secret>;
