import { procedure, type Procedure } from "../rpc/procedure.ts";
import {
  array,
  bool,
  int,
  optional,
  parameterLists,
  readAs,
  string,
  struct,
  typedParameters,
  uhyper,
  uint,
} from "../rpc/xdr.ts";
import type { ParameterLists, StructOf } from "../rpc/xdr.ts";
import { domain, type Domain } from "./objects.ts";

const read = { idempotent: true } as const;

// Opening a session. AUTH_LIST comes before everything else, AUTH_POLKIT after it where it says so. They change nothing
// but the session, which a lost answer ends: no outcome is left unknown.
export const authList = procedure("AUTH_LIST", 66, {}, { types: array(int, 20) }, read);
export const authPolkit = procedure("AUTH_POLKIT", 70, {}, { complete: int }, read);
export const connectOpen = procedure("CONNECT_OPEN", 1, { name: optional(string()), flags: uint }, {}, read);
export const connectClose = procedure("CONNECT_CLOSE", 2, {}, {}, read);
export const connectSupportsFeature = procedure(
  "CONNECT_SUPPORTS_FEATURE",
  60,
  { feature: int },
  { supported: bool },
  read,
);
export const connectRegisterCloseCallback = procedure("CONNECT_REGISTER_CLOSE_CALLBACK", 360, {}, {});
export const connectUnregisterCloseCallback = procedure("CONNECT_UNREGISTER_CLOSE_CALLBACK", 361, {}, {});

// The daemon and its hypervisor
export const connectGetType = procedure("CONNECT_GET_TYPE", 3, {}, { type: string() }, read);
/** Of the hypervisor, as major * 1,000,000 + minor * 1,000 + micro. */
export const connectGetVersion = procedure("CONNECT_GET_VERSION", 4, {}, { hvVer: uhyper }, read);
/** Of libvirt, counted alike. */
export const connectGetLibVersion = procedure("CONNECT_GET_LIB_VERSION", 157, {}, { libVer: uhyper }, read);
export const connectGetHostname = procedure("CONNECT_GET_HOSTNAME", 59, {}, { hostname: string() }, read);
export const connectGetUri = procedure("CONNECT_GET_URI", 110, {}, { uri: string() }, read);
export const connectIsSecure = procedure("CONNECT_IS_SECURE", 149, {}, { secure: bool }, read);
/** SMBIOS as XML; `unsupported` on a machine without it. */
export const connectGetSysinfo = procedure(
  "CONNECT_GET_SYSINFO",
  203,
  { flags: uint },
  { sysinfo: string() },
  read,
);
export const connectGetCapabilities = procedure(
  "CONNECT_GET_CAPABILITIES",
  7,
  {},
  { capabilities: string() },
  read,
);
export const connectGetDomainCapabilities = procedure(
  "CONNECT_GET_DOMAIN_CAPABILITIES",
  342,
  {
    emulatorbin: optional(string()),
    arch: optional(string()),
    machine: optional(string()),
    virttype: optional(string()),
    flags: uint,
  },
  { capabilities: string() },
  read,
);
export const connectGetMaxVcpus = procedure(
  "CONNECT_GET_MAX_VCPUS",
  5,
  { type: optional(string()) },
  { maxVcpus: int },
  read,
);

// CPU models
export const connectGetCpuModelNames = procedure(
  "CONNECT_GET_CPU_MODEL_NAMES",
  312,
  { arch: string(), needResults: bool, flags: uint },
  { models: array(string(), 8192), ret: int },
  read,
);
/** `result` is one of `CpuCompare`. */
export const connectCompareCpu = procedure(
  "CONNECT_COMPARE_CPU",
  158,
  { xml: string(), flags: uint },
  { result: int },
  read,
);
export const connectCompareHypervisorCpu = procedure(
  "CONNECT_COMPARE_HYPERVISOR_CPU",
  393,
  {
    emulator: optional(string()),
    arch: optional(string()),
    machine: optional(string()),
    virttype: optional(string()),
    xmlCpu: string(),
    flags: uint,
  },
  { result: int },
  read,
);
export const connectBaselineCpu = procedure(
  "CONNECT_BASELINE_CPU",
  162,
  { xmlCpus: array(string(), 256), flags: uint },
  { cpu: string() },
  read,
);
export const connectBaselineHypervisorCpu = procedure(
  "CONNECT_BASELINE_HYPERVISOR_CPU",
  394,
  {
    emulator: optional(string()),
    arch: optional(string()),
    machine: optional(string()),
    virttype: optional(string()),
    xmlCpus: array(string(), 256),
    flags: uint,
  },
  { cpu: string() },
  read,
);

// Every domain at once
export const connectListAllDomains = procedure(
  "CONNECT_LIST_ALL_DOMAINS",
  273,
  { needResults: bool, flags: uint },
  { domains: array(domain, 16384), ret: uint },
  read,
);

const mostStats = 262144;
const allStats = { doms: array(domain, 16384), stats: uint, flags: uint };

/** No `doms` means all of them. `stats` is of `DomainStats`, 0 for every group; `flags` of `DomainStatsFlag`. */
export const connectGetAllDomainStats = procedure(
  "CONNECT_GET_ALL_DOMAIN_STATS",
  344,
  allStats,
  { retStats: array(struct({ dom: domain, params: typedParameters(mostStats) }), 16384) },
  read,
);

/** What is told of one domain, for as long as it is looked at: the next record is read into the same lists. */
export interface DomainStatsRecord {
  readonly dom: Domain;
  readonly params: ParameterLists;
}

/**
 * The same, each record handed to `take` as soon as it is read, and forgotten: those of a thousand domains are many
 * megabytes, which are better not all there at once.
 */
export function allDomainStatsAs<T>(
  take: (record: DomainStatsRecord) => T,
): Procedure<StructOf<typeof allStats>, { retStats: T[] }> {
  const record = struct({ dom: domain, params: parameterLists(mostStats) });
  const result = struct({ retStats: array(readAs(record, take), 16384) });
  return { ...connectGetAllDomainStats, result };
}
