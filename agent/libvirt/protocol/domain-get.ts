// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import {
  array,
  bool,
  hyper,
  int,
  opaque,
  optionalText,
  text,
  typedParameters,
  uhyper,
  uint,
} from "../rpc/xdr.ts";
import {
  domain,
  vcpuInfo,
  domainDiskError,
  domainIothreadInfo,
  domainSecurityLabel,
  domainFsinfo,
} from "./structs.ts";

export const domainGetXmlDesc = /* @__PURE__ */ procedure(
  "DOMAIN_GET_XML_DESC",
  14,
  { dom: domain, flags: uint },
  { xml: text },
  { since: "0.3.0", onlyReads: true },
);
export const domainGetAutostart = /* @__PURE__ */ procedure(
  "DOMAIN_GET_AUTOSTART",
  15,
  { dom: domain },
  { autostart: bool },
  { since: "0.3.0", onlyReads: true },
);
export const domainGetInfo = /* @__PURE__ */ procedure(
  "DOMAIN_GET_INFO",
  16,
  { dom: domain },
  { state: uint, maxMem: uhyper, memory: uhyper, nrVirtCpu: uint, cpuTime: uhyper },
  { since: "0.3.0", onlyReads: true },
);
export const domainGetMaxMemory = /* @__PURE__ */ procedure(
  "DOMAIN_GET_MAX_MEMORY",
  17,
  { dom: domain },
  { memory: uhyper },
  { since: "0.3.0", onlyReads: true },
);
export const domainGetMaxVcpus = /* @__PURE__ */ procedure(
  "DOMAIN_GET_MAX_VCPUS",
  18,
  { dom: domain },
  { num: int },
  { since: "0.3.0", onlyReads: true },
);
export const domainGetOsType = /* @__PURE__ */ procedure(
  "DOMAIN_GET_OS_TYPE",
  19,
  { dom: domain },
  { type: text },
  { since: "0.3.0", onlyReads: true },
);
export const domainGetVcpus = /* @__PURE__ */ procedure(
  "DOMAIN_GET_VCPUS",
  20,
  { dom: domain, maxinfo: int, maplen: int },
  { info: /* @__PURE__ */ array(vcpuInfo, 16384), cpumaps: /* @__PURE__ */ opaque(8388608) },
  { since: "0.3.0", onlyReads: true },
);
export const domainGetSchedulerType = /* @__PURE__ */ procedure(
  "DOMAIN_GET_SCHEDULER_TYPE",
  56,
  { dom: domain },
  { type: text, nparams: int },
  { since: "0.3.0", onlyReads: true },
);
export const domainGetSchedulerParameters = /* @__PURE__ */ procedure(
  "DOMAIN_GET_SCHEDULER_PARAMETERS",
  57,
  { dom: domain, nparams: int },
  { params: /* @__PURE__ */ typedParameters(16) },
  { since: "0.3.0", onlyReads: true },
);
export const domainGetSecurityLabel = /* @__PURE__ */ procedure(
  "DOMAIN_GET_SECURITY_LABEL",
  121,
  { dom: domain },
  { label: /* @__PURE__ */ array(int, 4097), enforcing: bool },
  { since: "0.6.1", onlyReads: true },
);
export const domainGetJobInfo = /* @__PURE__ */ procedure(
  "DOMAIN_GET_JOB_INFO",
  163,
  { dom: domain },
  {
    type: int,
    timeElapsed: uhyper,
    timeRemaining: uhyper,
    dataTotal: uhyper,
    dataProcessed: uhyper,
    dataRemaining: uhyper,
    memTotal: uhyper,
    memProcessed: uhyper,
    memRemaining: uhyper,
    fileTotal: uhyper,
    fileProcessed: uhyper,
    fileRemaining: uhyper,
  },
  { since: "0.7.7", onlyReads: true },
);
export const domainGetBlockInfo = /* @__PURE__ */ procedure(
  "DOMAIN_GET_BLOCK_INFO",
  194,
  { dom: domain, path: text, flags: uint },
  { allocation: uhyper, capacity: uhyper, physical: uhyper },
  { since: "0.8.1", onlyReads: true },
);
export const domainGetMemoryParameters = /* @__PURE__ */ procedure(
  "DOMAIN_GET_MEMORY_PARAMETERS",
  198,
  { dom: domain, nparams: int, flags: uint },
  { params: /* @__PURE__ */ typedParameters(16), nparams: int },
  { since: "0.8.5", onlyReads: true },
);
export const domainGetVcpusFlags = /* @__PURE__ */ procedure(
  "DOMAIN_GET_VCPUS_FLAGS",
  200,
  { dom: domain, flags: uint },
  { num: int },
  { since: "0.8.5", onlyReads: true },
);
export const domainGetBlkioParameters = /* @__PURE__ */ procedure(
  "DOMAIN_GET_BLKIO_PARAMETERS",
  206,
  { dom: domain, nparams: int, flags: uint },
  { params: /* @__PURE__ */ typedParameters(16), nparams: int },
  { since: "0.9.0", onlyReads: true },
);
export const domainGetState = /* @__PURE__ */ procedure(
  "DOMAIN_GET_STATE",
  212,
  { dom: domain, flags: uint },
  { state: int, reason: int },
  { since: "0.9.2", onlyReads: true },
);
export const domainGetSchedulerParametersFlags = /* @__PURE__ */ procedure(
  "DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS",
  223,
  { dom: domain, nparams: int, flags: uint },
  { params: /* @__PURE__ */ typedParameters(16) },
  { since: "0.9.2", onlyReads: true },
);
export const domainGetControlInfo = /* @__PURE__ */ procedure(
  "DOMAIN_GET_CONTROL_INFO",
  229,
  { dom: domain, flags: uint },
  { state: uint, details: uint, stateTime: uhyper },
  { since: "0.9.3", onlyReads: true },
);
export const domainGetVcpuPinInfo = /* @__PURE__ */ procedure(
  "DOMAIN_GET_VCPU_PIN_INFO",
  230,
  { dom: domain, ncpumaps: int, maplen: int, flags: uint },
  { cpumaps: /* @__PURE__ */ opaque(8388608), num: int },
  { since: "0.9.3", onlyReads: true },
);
export const domainGetBlockJobInfo = /* @__PURE__ */ procedure(
  "DOMAIN_GET_BLOCK_JOB_INFO",
  238,
  { dom: domain, path: text, flags: uint },
  { found: bool, type: int, bandwidth: uhyper, cur: uhyper, end: uhyper },
  { since: "0.9.4", onlyReads: true },
);
export const domainGetBlockIoTune = /* @__PURE__ */ procedure(
  "DOMAIN_GET_BLOCK_IO_TUNE",
  253,
  { dom: domain, disk: optionalText, nparams: int, flags: uint },
  { params: /* @__PURE__ */ typedParameters(32), nparams: int },
  { since: "0.9.8", onlyReads: true },
);
export const domainGetNumaParameters = /* @__PURE__ */ procedure(
  "DOMAIN_GET_NUMA_PARAMETERS",
  255,
  { dom: domain, nparams: int, flags: uint },
  { params: /* @__PURE__ */ typedParameters(16), nparams: int },
  { since: "0.9.9", onlyReads: true },
);
export const domainGetInterfaceParameters = /* @__PURE__ */ procedure(
  "DOMAIN_GET_INTERFACE_PARAMETERS",
  257,
  { dom: domain, device: text, nparams: int, flags: uint },
  { params: /* @__PURE__ */ typedParameters(16), nparams: int },
  { since: "0.9.9", onlyReads: true },
);
export const domainGetCpuStats = /* @__PURE__ */ procedure(
  "DOMAIN_GET_CPU_STATS",
  262,
  { dom: domain, nparams: uint, startCpu: int, ncpus: uint, flags: uint },
  { params: /* @__PURE__ */ typedParameters(2048), nparams: int },
  { since: "0.9.10", onlyReads: true },
);
export const domainGetDiskErrors = /* @__PURE__ */ procedure(
  "DOMAIN_GET_DISK_ERRORS",
  263,
  { dom: domain, maxerrors: uint, flags: uint },
  { errors: /* @__PURE__ */ array(domainDiskError, 256), nerrors: int },
  { since: "0.9.10", onlyReads: true },
);
export const domainGetMetadata = /* @__PURE__ */ procedure(
  "DOMAIN_GET_METADATA",
  265,
  { dom: domain, type: int, uri: optionalText, flags: uint },
  { metadata: text },
  { since: "0.9.10", onlyReads: true },
);
export const domainGetHostname = /* @__PURE__ */ procedure(
  "DOMAIN_GET_HOSTNAME",
  277,
  { dom: domain, flags: uint },
  { hostname: text },
  { since: "0.10.0", onlyReads: true },
);
export const domainGetSecurityLabelList = /* @__PURE__ */ procedure(
  "DOMAIN_GET_SECURITY_LABEL_LIST",
  278,
  { dom: domain },
  { labels: /* @__PURE__ */ array(domainSecurityLabel, 64), ret: int },
  { since: "0.10.0", onlyReads: true },
);
export const domainGetEmulatorPinInfo = /* @__PURE__ */ procedure(
  "DOMAIN_GET_EMULATOR_PIN_INFO",
  280,
  { dom: domain, maplen: int, flags: uint },
  { cpumaps: /* @__PURE__ */ opaque(8388608), ret: int },
  { since: "0.10.0", onlyReads: true },
);
export const domainGetJobStats = /* @__PURE__ */ procedure(
  "DOMAIN_GET_JOB_STATS",
  298,
  { dom: domain, flags: uint },
  { type: int, params: /* @__PURE__ */ typedParameters(64) },
  { since: "1.0.3", onlyReads: true },
);
export const domainGetTime = /* @__PURE__ */ procedure(
  "DOMAIN_GET_TIME",
  337,
  { dom: domain, flags: uint },
  { seconds: hyper, nseconds: uint },
  { since: "1.2.5", onlyReads: true },
);
export const domainGetFsinfo = /* @__PURE__ */ procedure(
  "DOMAIN_GET_FSINFO",
  349,
  { dom: domain, flags: uint },
  { info: /* @__PURE__ */ array(domainFsinfo, 256), ret: uint },
  { since: "1.2.11", onlyReads: true },
);
export const domainGetIothreadInfo = /* @__PURE__ */ procedure(
  "DOMAIN_GET_IOTHREAD_INFO",
  351,
  { dom: domain, flags: uint },
  { info: /* @__PURE__ */ array(domainIothreadInfo, 16384), ret: uint },
  { since: "1.2.14", onlyReads: true },
);
export const domainGetPerfEvents = /* @__PURE__ */ procedure(
  "DOMAIN_GET_PERF_EVENTS",
  365,
  { dom: domain, flags: uint },
  { params: /* @__PURE__ */ typedParameters(64) },
  { since: "1.3.3", onlyReads: true },
);
export const domainGetGuestVcpus = /* @__PURE__ */ procedure(
  "DOMAIN_GET_GUEST_VCPUS",
  371,
  { dom: domain, flags: uint },
  { params: /* @__PURE__ */ typedParameters(64) },
  { since: "2.0.0", onlyReads: true },
);
export const domainGetLaunchSecurityInfo = /* @__PURE__ */ procedure(
  "DOMAIN_GET_LAUNCH_SECURITY_INFO",
  396,
  { dom: domain, flags: uint },
  { params: /* @__PURE__ */ typedParameters(64) },
  { since: "4.5.0", onlyReads: true },
);
export const domainGetGuestInfo = /* @__PURE__ */ procedure(
  "DOMAIN_GET_GUEST_INFO",
  418,
  { dom: domain, types: uint, flags: uint },
  { params: /* @__PURE__ */ typedParameters(2048) },
  { since: "5.7.0", onlyReads: true },
);
export const domainGetMessages = /* @__PURE__ */ procedure(
  "DOMAIN_GET_MESSAGES",
  426,
  { dom: domain, flags: uint },
  { msgs: /* @__PURE__ */ array(text, 2048) },
  { since: "7.1.0", onlyReads: true },
);
export const domainGetAutostartOnce = /* @__PURE__ */ procedure(
  "DOMAIN_GET_AUTOSTART_ONCE",
  449,
  { dom: domain },
  { autostart: bool },
  { since: "11.2.0", onlyReads: true },
);
