/** Devices of a domain: changing them, and what passes through them. */
import { procedure } from "../rpc/procedure.ts";
import {
  array,
  bool,
  hyper,
  int,
  optional,
  string,
  struct,
  typedParameters,
  uhyper,
  uint,
} from "../rpc/xdr.ts";
import { domain } from "./objects.ts";

const read = { idempotent: true } as const;

export const domainAttachDeviceFlags = procedure(
  "DOMAIN_ATTACH_DEVICE_FLAGS",
  160,
  { dom: domain, xml: string(), flags: uint },
  {},
);
export const domainUpdateDeviceFlags = procedure(
  "DOMAIN_UPDATE_DEVICE_FLAGS",
  174,
  { dom: domain, xml: string(), flags: uint },
  {},
);
export const domainDetachDeviceFlags = procedure(
  "DOMAIN_DETACH_DEVICE_FLAGS",
  161,
  { dom: domain, xml: string(), flags: uint },
  {},
);
/** The guest lets go of it later, or never: DEVICE_REMOVED or DEVICE_REMOVAL_FAILED tells. */
export const domainDetachDeviceAlias = procedure(
  "DOMAIN_DETACH_DEVICE_ALIAS",
  392,
  { dom: domain, alias: string(), flags: uint },
  {},
);

/** -1 where the host does not know. */
export const domainInterfaceStats = procedure(
  "DOMAIN_INTERFACE_STATS",
  65,
  { dom: domain, device: string() },
  {
    rxBytes: hyper,
    rxPackets: hyper,
    rxErrs: hyper,
    rxDrop: hyper,
    txBytes: hyper,
    txPackets: hyper,
    txErrs: hyper,
    txDrop: hyper,
  },
  read,
);
/** As for the parameters of a domain: first with `nparams` 0, then with the number it gave; STRING_OKAY gives texts. */
export const domainGetInterfaceParameters = procedure(
  "DOMAIN_GET_INTERFACE_PARAMETERS",
  257,
  { dom: domain, device: string(), nparams: int, flags: uint },
  { params: typedParameters(16), nparams: int },
  read,
);
export const domainSetInterfaceParameters = procedure(
  "DOMAIN_SET_INTERFACE_PARAMETERS",
  256,
  { dom: domain, device: string(), params: typedParameters(16), flags: uint },
  {},
);

// Disks, by target (vda) or path
/** Bytes. */
export const domainGetBlockInfo = procedure(
  "DOMAIN_GET_BLOCK_INFO",
  194,
  { dom: domain, path: string(), flags: uint },
  { allocation: uhyper, capacity: uhyper, physical: uhyper },
  read,
);
/** In two calls, like the interface parameters. */
export const domainBlockStatsFlags = procedure(
  "DOMAIN_BLOCK_STATS_FLAGS",
  243,
  { dom: domain, path: string(), nparams: int, flags: uint },
  { params: typedParameters(16), nparams: int },
  read,
);
/** `size` is KiB unless the flag BYTES is given. */
export const domainBlockResize = procedure(
  "DOMAIN_BLOCK_RESIZE",
  251,
  { dom: domain, disk: string(), size: uhyper, flags: uint },
  {},
);
export const domainGetBlockIoTune = procedure(
  "DOMAIN_GET_BLOCK_IO_TUNE",
  253,
  { dom: domain, disk: optional(string()), nparams: int, flags: uint },
  { params: typedParameters(32), nparams: int },
  read,
);
export const domainSetBlockIoTune = procedure(
  "DOMAIN_SET_BLOCK_IO_TUNE",
  252,
  { dom: domain, disk: string(), params: typedParameters(32), flags: uint },
  {},
);
export const domainSetBlockThreshold = procedure(
  "DOMAIN_SET_BLOCK_THRESHOLD",
  386,
  { dom: domain, dev: string(), threshold: uhyper, flags: uint },
  {},
);

const domainDiskError = struct({ disk: string(), error: int });

export const domainGetDiskErrors = procedure(
  "DOMAIN_GET_DISK_ERRORS",
  263,
  { dom: domain, maxerrors: uint, flags: uint },
  { errors: array(domainDiskError, 256), nerrors: int },
  read,
);

// Block jobs. They end with a BLOCK_JOB event.
export const domainBlockCopy = procedure(
  "DOMAIN_BLOCK_COPY",
  345,
  { dom: domain, path: string(), destxml: string(), params: typedParameters(16), flags: uint },
  {},
);
export const domainBlockCommit = procedure(
  "DOMAIN_BLOCK_COMMIT",
  290,
  {
    dom: domain,
    disk: string(),
    base: optional(string()),
    top: optional(string()),
    bandwidth: uhyper,
    flags: uint,
  },
  {},
);
export const domainBlockPull = procedure(
  "DOMAIN_BLOCK_PULL",
  240,
  { dom: domain, path: string(), bandwidth: uhyper, flags: uint },
  {},
);
export const domainBlockRebase = procedure(
  "DOMAIN_BLOCK_REBASE",
  266,
  { dom: domain, path: string(), base: optional(string()), bandwidth: uhyper, flags: uint },
  {},
);
export const domainGetBlockJobInfo = procedure(
  "DOMAIN_GET_BLOCK_JOB_INFO",
  238,
  { dom: domain, path: string(), flags: uint },
  { found: bool, type: int, bandwidth: uhyper, cur: uhyper, end: uhyper },
  read,
);
export const domainBlockJobSetSpeed = procedure(
  "DOMAIN_BLOCK_JOB_SET_SPEED",
  239,
  { dom: domain, path: string(), bandwidth: uhyper, flags: uint },
  {},
);
export const domainBlockJobAbort = procedure(
  "DOMAIN_BLOCK_JOB_ABORT",
  237,
  { dom: domain, path: string(), flags: uint },
  {},
);
