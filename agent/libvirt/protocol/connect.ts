// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { array, bool, int, optionalText, text, typedParameters, uhyper, uint } from "../rpc/xdr.ts";
import {
  domain,
  network,
  nwfilter,
  nwfilterBinding,
  hostInterface,
  storagePool,
  nodeDevice,
  secret,
  domainStatsRecord,
} from "./structs.ts";

export const connectOpen = /* @__PURE__ */ procedure(
  "CONNECT_OPEN",
  1,
  { name: optionalText, flags: uint },
  {},
  { since: "0.3.0", onlyReads: true },
);
export const connectClose = /* @__PURE__ */ procedure(
  "CONNECT_CLOSE",
  2,
  {},
  {},
  { since: "0.3.0", onlyReads: true },
);
export const connectGetType = /* @__PURE__ */ procedure(
  "CONNECT_GET_TYPE",
  3,
  {},
  { type: text },
  { since: "0.3.0", onlyReads: true },
);
export const connectGetVersion = /* @__PURE__ */ procedure(
  "CONNECT_GET_VERSION",
  4,
  {},
  { hvVer: uhyper },
  { since: "0.3.0", onlyReads: true },
);
export const connectGetMaxVcpus = /* @__PURE__ */ procedure(
  "CONNECT_GET_MAX_VCPUS",
  5,
  { type: optionalText },
  { maxVcpus: int },
  { since: "0.3.0", onlyReads: true },
);
export const connectGetCapabilities = /* @__PURE__ */ procedure(
  "CONNECT_GET_CAPABILITIES",
  7,
  {},
  { capabilities: text },
  { since: "0.3.0", onlyReads: true },
);
export const connectListDefinedDomains = /* @__PURE__ */ procedure(
  "CONNECT_LIST_DEFINED_DOMAINS",
  21,
  { maxnames: int },
  { names: /* @__PURE__ */ array(text, 16384) },
  { since: "0.3.0", onlyReads: true },
);
export const connectNumOfDefinedDomains = /* @__PURE__ */ procedure(
  "CONNECT_NUM_OF_DEFINED_DOMAINS",
  25,
  {},
  { num: int },
  { since: "0.3.0", onlyReads: true },
);
export const connectListDefinedNetworks = /* @__PURE__ */ procedure(
  "CONNECT_LIST_DEFINED_NETWORKS",
  36,
  { maxnames: int },
  { names: /* @__PURE__ */ array(text, 16384) },
  { since: "0.3.0", family: "network", onlyReads: true },
);
export const connectListDomains = /* @__PURE__ */ procedure(
  "CONNECT_LIST_DOMAINS",
  37,
  { maxids: int },
  { ids: /* @__PURE__ */ array(int, 16384) },
  { since: "0.3.0", onlyReads: true },
);
export const connectListNetworks = /* @__PURE__ */ procedure(
  "CONNECT_LIST_NETWORKS",
  38,
  { maxnames: int },
  { names: /* @__PURE__ */ array(text, 16384) },
  { since: "0.3.0", family: "network", onlyReads: true },
);
export const connectNumOfDefinedNetworks = /* @__PURE__ */ procedure(
  "CONNECT_NUM_OF_DEFINED_NETWORKS",
  50,
  {},
  { num: int },
  { since: "0.3.0", family: "network", onlyReads: true },
);
export const connectNumOfDomains = /* @__PURE__ */ procedure(
  "CONNECT_NUM_OF_DOMAINS",
  51,
  {},
  { num: int },
  { since: "0.3.0", onlyReads: true },
);
export const connectNumOfNetworks = /* @__PURE__ */ procedure(
  "CONNECT_NUM_OF_NETWORKS",
  52,
  {},
  { num: int },
  { since: "0.3.0", family: "network", onlyReads: true },
);
export const connectGetHostname = /* @__PURE__ */ procedure(
  "CONNECT_GET_HOSTNAME",
  59,
  {},
  { hostname: text },
  { since: "0.3.0", onlyReads: true },
);
export const connectSupportsFeature = /* @__PURE__ */ procedure(
  "CONNECT_SUPPORTS_FEATURE",
  60,
  { feature: int },
  { supported: bool },
  { since: "0.3.0", onlyReads: true },
);
export const connectNumOfStoragePools = /* @__PURE__ */ procedure(
  "CONNECT_NUM_OF_STORAGE_POOLS",
  71,
  {},
  { num: int },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const connectListStoragePools = /* @__PURE__ */ procedure(
  "CONNECT_LIST_STORAGE_POOLS",
  72,
  { maxnames: int },
  { names: /* @__PURE__ */ array(text, 16384) },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const connectNumOfDefinedStoragePools = /* @__PURE__ */ procedure(
  "CONNECT_NUM_OF_DEFINED_STORAGE_POOLS",
  73,
  {},
  { num: int },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const connectListDefinedStoragePools = /* @__PURE__ */ procedure(
  "CONNECT_LIST_DEFINED_STORAGE_POOLS",
  74,
  { maxnames: int },
  { names: /* @__PURE__ */ array(text, 16384) },
  { since: "0.4.1", family: "storage", onlyReads: true },
);
export const connectFindStoragePoolSources = /* @__PURE__ */ procedure(
  "CONNECT_FIND_STORAGE_POOL_SOURCES",
  75,
  { type: text, srcSpec: optionalText, flags: uint },
  { xml: text },
  { since: "0.4.5", family: "storage", onlyReads: true },
);
export const connectGetUri = /* @__PURE__ */ procedure(
  "CONNECT_GET_URI",
  110,
  {},
  { uri: text },
  { since: "0.3.0", onlyReads: true },
);
export const connectNumOfInterfaces = /* @__PURE__ */ procedure(
  "CONNECT_NUM_OF_INTERFACES",
  126,
  {},
  { num: int },
  { since: "0.6.4", family: "interface", onlyReads: true },
);
export const connectListInterfaces = /* @__PURE__ */ procedure(
  "CONNECT_LIST_INTERFACES",
  127,
  { maxnames: int },
  { names: /* @__PURE__ */ array(text, 16384) },
  { since: "0.6.4", family: "interface", onlyReads: true },
);
export const connectDomainXmlFromNative = /* @__PURE__ */ procedure(
  "CONNECT_DOMAIN_XML_FROM_NATIVE",
  135,
  { nativeFormat: text, nativeConfig: text, flags: uint },
  { domainXml: text },
  { since: "0.6.4" },
);
export const connectDomainXmlToNative = /* @__PURE__ */ procedure(
  "CONNECT_DOMAIN_XML_TO_NATIVE",
  136,
  { nativeFormat: text, domainXml: text, flags: uint },
  { nativeConfig: text },
  { since: "0.6.4" },
);
export const connectNumOfDefinedInterfaces = /* @__PURE__ */ procedure(
  "CONNECT_NUM_OF_DEFINED_INTERFACES",
  137,
  {},
  { num: int },
  { since: "0.7.0", family: "interface", onlyReads: true },
);
export const connectListDefinedInterfaces = /* @__PURE__ */ procedure(
  "CONNECT_LIST_DEFINED_INTERFACES",
  138,
  { maxnames: int },
  { names: /* @__PURE__ */ array(text, 16384) },
  { since: "0.7.0", family: "interface", onlyReads: true },
);
export const connectNumOfSecrets = /* @__PURE__ */ procedure(
  "CONNECT_NUM_OF_SECRETS",
  139,
  {},
  { num: int },
  { since: "0.7.1", family: "secret", onlyReads: true },
);
export const connectListSecrets = /* @__PURE__ */ procedure(
  "CONNECT_LIST_SECRETS",
  140,
  { maxuuids: int },
  { uuids: /* @__PURE__ */ array(text, 16384) },
  { since: "0.7.1", family: "secret", onlyReads: true },
);
export const connectIsSecure = /* @__PURE__ */ procedure(
  "CONNECT_IS_SECURE",
  149,
  {},
  { secure: bool },
  { since: "0.7.3", onlyReads: true },
);
export const connectGetLibVersion = /* @__PURE__ */ procedure(
  "CONNECT_GET_LIB_VERSION",
  157,
  {},
  { libVer: uhyper },
  { since: "0.7.3", onlyReads: true },
);
export const connectCompareCpu = /* @__PURE__ */ procedure(
  "CONNECT_COMPARE_CPU",
  158,
  { xml: text, flags: uint },
  { result: int },
  { since: "0.7.5", onlyReads: true },
);
export const connectBaselineCpu = /* @__PURE__ */ procedure(
  "CONNECT_BASELINE_CPU",
  162,
  { xmlCpus: /* @__PURE__ */ array(text, 256), flags: uint },
  { cpu: text },
  { since: "0.7.7", onlyReads: true },
);
export const connectNumOfNwfilters = /* @__PURE__ */ procedure(
  "CONNECT_NUM_OF_NWFILTERS",
  178,
  {},
  { num: int },
  { since: "0.8.0", family: "nwfilter", onlyReads: true },
);
export const connectListNwfilters = /* @__PURE__ */ procedure(
  "CONNECT_LIST_NWFILTERS",
  179,
  { maxnames: int },
  { names: /* @__PURE__ */ array(text, 16384) },
  { since: "0.8.0", family: "nwfilter", onlyReads: true },
);
export const connectGetSysinfo = /* @__PURE__ */ procedure(
  "CONNECT_GET_SYSINFO",
  203,
  { flags: uint },
  { sysinfo: text },
  { since: "0.8.8", onlyReads: true },
);
export const connectListAllDomains = /* @__PURE__ */ procedure(
  "CONNECT_LIST_ALL_DOMAINS",
  273,
  { needResults: bool, flags: uint },
  { domains: /* @__PURE__ */ array(domain, 16384), ret: uint },
  { since: "0.9.13", onlyReads: true },
);
export const connectListAllStoragePools = /* @__PURE__ */ procedure(
  "CONNECT_LIST_ALL_STORAGE_POOLS",
  281,
  { needResults: bool, flags: uint },
  { pools: /* @__PURE__ */ array(storagePool, 16384), ret: uint },
  { since: "0.10.2", family: "storage", onlyReads: true },
);
export const connectListAllNetworks = /* @__PURE__ */ procedure(
  "CONNECT_LIST_ALL_NETWORKS",
  283,
  { needResults: bool, flags: uint },
  { nets: /* @__PURE__ */ array(network, 16384), ret: uint },
  { since: "0.10.2", family: "network", onlyReads: true },
);
export const connectListAllInterfaces = /* @__PURE__ */ procedure(
  "CONNECT_LIST_ALL_INTERFACES",
  284,
  { needResults: bool, flags: uint },
  { ifaces: /* @__PURE__ */ array(hostInterface, 16384), ret: uint },
  { since: "0.10.2", family: "interface", onlyReads: true },
);
export const connectListAllNodeDevices = /* @__PURE__ */ procedure(
  "CONNECT_LIST_ALL_NODE_DEVICES",
  285,
  { needResults: bool, flags: uint },
  { devices: /* @__PURE__ */ array(nodeDevice, 65536), ret: uint },
  { since: "0.10.2", family: "nodedev", onlyReads: true },
);
export const connectListAllNwfilters = /* @__PURE__ */ procedure(
  "CONNECT_LIST_ALL_NWFILTERS",
  286,
  { needResults: bool, flags: uint },
  { filters: /* @__PURE__ */ array(nwfilter, 16384), ret: uint },
  { since: "0.10.2", family: "nwfilter", onlyReads: true },
);
export const connectListAllSecrets = /* @__PURE__ */ procedure(
  "CONNECT_LIST_ALL_SECRETS",
  287,
  { needResults: bool, flags: uint },
  { secrets: /* @__PURE__ */ array(secret, 16384), ret: uint },
  { since: "0.10.2", family: "secret", onlyReads: true },
);
export const connectGetCpuModelNames = /* @__PURE__ */ procedure(
  "CONNECT_GET_CPU_MODEL_NAMES",
  312,
  { arch: text, needResults: bool, flags: uint },
  { models: /* @__PURE__ */ array(text, 8192), ret: int },
  { since: "1.1.3", onlyReads: true },
);
export const connectGetDomainCapabilities = /* @__PURE__ */ procedure(
  "CONNECT_GET_DOMAIN_CAPABILITIES",
  342,
  {
    emulatorbin: optionalText,
    arch: optionalText,
    machine: optionalText,
    virttype: optionalText,
    flags: uint,
  },
  { capabilities: text },
  { since: "1.2.7", onlyReads: true },
);
export const connectGetAllDomainStats = /* @__PURE__ */ procedure(
  "CONNECT_GET_ALL_DOMAIN_STATS",
  344,
  { doms: /* @__PURE__ */ array(domain, 16384), stats: uint, flags: uint },
  { retStats: /* @__PURE__ */ array(domainStatsRecord, 16384) },
  { since: "1.2.8", onlyReads: true },
);
export const connectCompareHypervisorCpu = /* @__PURE__ */ procedure(
  "CONNECT_COMPARE_HYPERVISOR_CPU",
  393,
  {
    emulator: optionalText,
    arch: optionalText,
    machine: optionalText,
    virttype: optionalText,
    xmlCpu: text,
    flags: uint,
  },
  { result: int },
  { since: "4.4.0", onlyReads: true },
);
export const connectBaselineHypervisorCpu = /* @__PURE__ */ procedure(
  "CONNECT_BASELINE_HYPERVISOR_CPU",
  394,
  {
    emulator: optionalText,
    arch: optionalText,
    machine: optionalText,
    virttype: optionalText,
    xmlCpus: /* @__PURE__ */ array(text, 256),
    flags: uint,
  },
  { cpu: text },
  { since: "4.4.0", onlyReads: true },
);
export const connectListAllNwfilterBindings = /* @__PURE__ */ procedure(
  "CONNECT_LIST_ALL_NWFILTER_BINDINGS",
  401,
  { needResults: bool, flags: uint },
  { bindings: /* @__PURE__ */ array(nwfilterBinding, 16384), ret: uint },
  { since: "4.5.0", family: "nwfilter", onlyReads: true },
);
export const connectGetStoragePoolCapabilities = /* @__PURE__ */ procedure(
  "CONNECT_GET_STORAGE_POOL_CAPABILITIES",
  403,
  { flags: uint },
  { capabilities: text },
  { since: "5.2.0", family: "storage", onlyReads: true },
);
export const connectSetIdentity = /* @__PURE__ */ procedure(
  "CONNECT_SET_IDENTITY",
  419,
  { params: /* @__PURE__ */ typedParameters(20), flags: uint },
  {},
  { since: "5.8.0" },
);
