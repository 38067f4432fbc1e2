// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import {
  array,
  bool,
  hyper,
  int,
  opaque,
  optionalText,
  struct,
  text,
  typedParameters,
  uhyper,
  uint,
  uuid,
  type Value,
} from "../rpc/xdr.ts";

export const domain = /* @__PURE__ */ struct({ name: text, uuid, id: int });
export type Domain = Value<typeof domain>;
export const network = /* @__PURE__ */ struct({ name: text, uuid });
export type Network = Value<typeof network>;
export const networkPort = /* @__PURE__ */ struct({ net: network, uuid });
export type NetworkPort = Value<typeof networkPort>;
export const nwfilter = /* @__PURE__ */ struct({ name: text, uuid });
export type Nwfilter = Value<typeof nwfilter>;
export const nwfilterBinding = /* @__PURE__ */ struct({ portdev: text, filtername: text });
export type NwfilterBinding = Value<typeof nwfilterBinding>;
export const hostInterface = /* @__PURE__ */ struct({ name: text, mac: text });
export type HostInterface = Value<typeof hostInterface>;
export const storagePool = /* @__PURE__ */ struct({ name: text, uuid });
export type StoragePool = Value<typeof storagePool>;
export const storageVol = /* @__PURE__ */ struct({ pool: text, name: text, key: text });
export type StorageVol = Value<typeof storageVol>;
export const nodeDevice = /* @__PURE__ */ struct({ name: text });
export type NodeDevice = Value<typeof nodeDevice>;
export const secret = /* @__PURE__ */ struct({ uuid, usageType: int, usageId: text });
export type Secret = Value<typeof secret>;
export const domainCheckpoint = /* @__PURE__ */ struct({ name: text, dom: domain });
export type DomainCheckpoint = Value<typeof domainCheckpoint>;
export const domainSnapshot = /* @__PURE__ */ struct({ name: text, dom: domain });
export type DomainSnapshot = Value<typeof domainSnapshot>;
export const vcpuInfo = /* @__PURE__ */ struct({ number: uint, state: int, cpuTime: uhyper, cpu: int });
export type VcpuInfo = Value<typeof vcpuInfo>;
export const nodeCpuStats = /* @__PURE__ */ struct({ field: text, value: uhyper });
export type NodeCpuStats = Value<typeof nodeCpuStats>;
export const nodeMemoryStats = /* @__PURE__ */ struct({ field: text, value: uhyper });
export type NodeMemoryStats = Value<typeof nodeMemoryStats>;
export const domainDiskError = /* @__PURE__ */ struct({ disk: text, error: int });
export type DomainDiskError = Value<typeof domainDiskError>;
export const domainMemoryStat = /* @__PURE__ */ struct({ tag: int, val: uhyper });
export type DomainMemoryStat = Value<typeof domainMemoryStat>;
export const domainIothreadInfo = /* @__PURE__ */ struct({
  iothreadId: uint,
  cpumap: /* @__PURE__ */ opaque(2048),
});
export type DomainIothreadInfo = Value<typeof domainIothreadInfo>;
export const domainSecurityLabel = /* @__PURE__ */ struct({
  label: /* @__PURE__ */ array(int, 4097),
  enforcing: bool,
});
export type DomainSecurityLabel = Value<typeof domainSecurityLabel>;
export const domainEventGraphicsAddress = /* @__PURE__ */ struct({ family: int, node: text, service: text });
export type DomainEventGraphicsAddress = Value<typeof domainEventGraphicsAddress>;
export const domainEventGraphicsIdentity = /* @__PURE__ */ struct({ type: text, name: text });
export type DomainEventGraphicsIdentity = Value<typeof domainEventGraphicsIdentity>;
export const networkDhcpLease = /* @__PURE__ */ struct({
  iface: text,
  expirytime: hyper,
  type: int,
  mac: optionalText,
  iaid: optionalText,
  ipaddr: text,
  prefix: uint,
  hostname: optionalText,
  clientid: optionalText,
});
export type NetworkDhcpLease = Value<typeof networkDhcpLease>;
export const domainStatsRecord = /* @__PURE__ */ struct({
  dom: domain,
  params: /* @__PURE__ */ typedParameters(262144),
});
export type DomainStatsRecord = Value<typeof domainStatsRecord>;
export const domainFsinfo = /* @__PURE__ */ struct({
  mountpoint: text,
  name: text,
  fstype: text,
  devAliases: /* @__PURE__ */ array(text, 256),
});
export type DomainFsinfo = Value<typeof domainFsinfo>;
export const domainIpAddr = /* @__PURE__ */ struct({ type: int, addr: text, prefix: uint });
export type DomainIpAddr = Value<typeof domainIpAddr>;
export const domainInterface = /* @__PURE__ */ struct({
  name: text,
  hwaddr: optionalText,
  addrs: /* @__PURE__ */ array(domainIpAddr, 2048),
});
export type DomainInterface = Value<typeof domainInterface>;
