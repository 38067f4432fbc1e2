/** What the guest agent answers inside a domain. A guest without one answers nothing: give these a deadline. */
import { procedure } from "../rpc/procedure.ts";
import { array, hyper, int, optional, string, struct, typedParameters, uhyper, uint } from "../rpc/xdr.ts";
import { domain } from "./objects.ts";

const read = { idempotent: true } as const;

const domainIpAddress = struct({ type: int, addr: string(), prefix: uint });
const domainInterface = struct({
  name: string(),
  hwaddr: optional(string()),
  addrs: array(domainIpAddress, 2048),
});

/** `source` is one of `InterfaceAddressesSource`: the agent is but one of them. */
export const domainInterfaceAddresses = procedure(
  "DOMAIN_INTERFACE_ADDRESSES",
  353,
  { dom: domain, source: uint, flags: uint },
  { ifaces: array(domainInterface, 2048) },
  read,
);
/** Flags choose DHCP leases or the agent. */
export const domainGetHostname = procedure(
  "DOMAIN_GET_HOSTNAME",
  277,
  { dom: domain, flags: uint },
  { hostname: string() },
  read,
);
/** `types` is of `GuestInfoType`, 0 for all. */
export const domainGetGuestInfo = procedure(
  "DOMAIN_GET_GUEST_INFO",
  418,
  { dom: domain, types: uint, flags: uint },
  { params: typedParameters(2048) },
  read,
);
export const domainGetGuestVcpus = procedure(
  "DOMAIN_GET_GUEST_VCPUS",
  371,
  { dom: domain, flags: uint },
  { params: typedParameters(64) },
  read,
);
export const domainSetGuestVcpus = procedure(
  "DOMAIN_SET_GUEST_VCPUS",
  372,
  { dom: domain, cpumap: string(), state: int, flags: uint },
  {},
);
/** Seconds, or -2 block, -1 default, 0 no wait. */
export const domainAgentSetResponseTimeout = procedure(
  "DOMAIN_AGENT_SET_RESPONSE_TIMEOUT",
  420,
  { dom: domain, timeout: int, flags: uint },
  { result: int },
);

const domainFilesystem = struct({
  mountpoint: string(),
  name: string(),
  fstype: string(),
  devAliases: array(string(), 256),
});

export const domainGetFsinfo = procedure(
  "DOMAIN_GET_FSINFO",
  349,
  { dom: domain, flags: uint },
  { info: array(domainFilesystem, 256), ret: uint },
  read,
);
/** No `mountpoints` means all. `filesystems` is how many were frozen. */
export const domainFsfreeze = procedure(
  "DOMAIN_FSFREEZE",
  335,
  { dom: domain, mountpoints: array(string(), 256), flags: uint },
  { filesystems: int },
);
export const domainFsthaw = procedure(
  "DOMAIN_FSTHAW",
  336,
  { dom: domain, mountpoints: array(string(), 256), flags: uint },
  { filesystems: int },
);
export const domainFstrim = procedure(
  "DOMAIN_FSTRIM",
  294,
  { dom: domain, mountPoint: optional(string()), minimum: uhyper, flags: uint },
  {},
);

export const domainGetTime = procedure(
  "DOMAIN_GET_TIME",
  337,
  { dom: domain, flags: uint },
  { seconds: hyper, nseconds: uint },
  read,
);
/** With the flag SYNC the guest reads its own clock again. */
export const domainSetTime = procedure(
  "DOMAIN_SET_TIME",
  338,
  { dom: domain, seconds: hyper, nseconds: uint, flags: uint },
  {},
);
