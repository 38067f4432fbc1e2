// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { bool, hyper, int, optionalText, text, typedParameters, uhyper, uint } from "../rpc/xdr.ts";
import { domain } from "./structs.ts";

export const domainSetAutostart = /* @__PURE__ */ procedure(
  "DOMAIN_SET_AUTOSTART",
  29,
  { dom: domain, autostart: bool },
  {},
  { since: "0.3.0" },
);
export const domainSetMaxMemory = /* @__PURE__ */ procedure(
  "DOMAIN_SET_MAX_MEMORY",
  30,
  { dom: domain, memory: uhyper },
  {},
  { since: "0.3.0" },
);
export const domainSetMemory = /* @__PURE__ */ procedure(
  "DOMAIN_SET_MEMORY",
  31,
  { dom: domain, memory: uhyper },
  {},
  { since: "0.3.0" },
);
export const domainSetVcpus = /* @__PURE__ */ procedure(
  "DOMAIN_SET_VCPUS",
  32,
  { dom: domain, nvcpus: uint },
  {},
  { since: "0.3.0" },
);
export const domainSetSchedulerParameters = /* @__PURE__ */ procedure(
  "DOMAIN_SET_SCHEDULER_PARAMETERS",
  58,
  { dom: domain, params: /* @__PURE__ */ typedParameters(16) },
  {},
  { since: "0.3.0" },
);
export const domainSetMemoryParameters = /* @__PURE__ */ procedure(
  "DOMAIN_SET_MEMORY_PARAMETERS",
  197,
  { dom: domain, params: /* @__PURE__ */ typedParameters(16), flags: uint },
  {},
  { since: "0.8.5" },
);
export const domainSetVcpusFlags = /* @__PURE__ */ procedure(
  "DOMAIN_SET_VCPUS_FLAGS",
  199,
  { dom: domain, nvcpus: uint, flags: uint },
  {},
  { since: "0.8.5" },
);
export const domainSetMemoryFlags = /* @__PURE__ */ procedure(
  "DOMAIN_SET_MEMORY_FLAGS",
  204,
  { dom: domain, memory: uhyper, flags: uint },
  {},
  { since: "0.9.0" },
);
export const domainSetBlkioParameters = /* @__PURE__ */ procedure(
  "DOMAIN_SET_BLKIO_PARAMETERS",
  205,
  { dom: domain, params: /* @__PURE__ */ typedParameters(16), flags: uint },
  {},
  { since: "0.9.0" },
);
export const domainSetSchedulerParametersFlags = /* @__PURE__ */ procedure(
  "DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS",
  219,
  { dom: domain, params: /* @__PURE__ */ typedParameters(16), flags: uint },
  {},
  { since: "0.9.2" },
);
export const domainSetBlockIoTune = /* @__PURE__ */ procedure(
  "DOMAIN_SET_BLOCK_IO_TUNE",
  252,
  { dom: domain, disk: text, params: /* @__PURE__ */ typedParameters(32), flags: uint },
  {},
  { since: "0.9.8" },
);
export const domainSetNumaParameters = /* @__PURE__ */ procedure(
  "DOMAIN_SET_NUMA_PARAMETERS",
  254,
  { dom: domain, params: /* @__PURE__ */ typedParameters(16), flags: uint },
  {},
  { since: "0.9.9" },
);
export const domainSetInterfaceParameters = /* @__PURE__ */ procedure(
  "DOMAIN_SET_INTERFACE_PARAMETERS",
  256,
  { dom: domain, device: text, params: /* @__PURE__ */ typedParameters(16), flags: uint },
  {},
  { since: "0.9.9" },
);
export const domainSetMetadata = /* @__PURE__ */ procedure(
  "DOMAIN_SET_METADATA",
  264,
  { dom: domain, type: int, metadata: optionalText, key: optionalText, uri: optionalText, flags: uint },
  {},
  { since: "0.9.10" },
);
export const domainSetMemoryStatsPeriod = /* @__PURE__ */ procedure(
  "DOMAIN_SET_MEMORY_STATS_PERIOD",
  308,
  { dom: domain, period: int, flags: uint },
  {},
  { since: "1.1.1" },
);
export const domainSetTime = /* @__PURE__ */ procedure(
  "DOMAIN_SET_TIME",
  338,
  { dom: domain, seconds: hyper, nseconds: uint, flags: uint },
  {},
  { since: "1.2.5" },
);
export const domainSetUserPassword = /* @__PURE__ */ procedure(
  "DOMAIN_SET_USER_PASSWORD",
  357,
  { dom: domain, user: optionalText, password: optionalText, flags: uint },
  {},
  { since: "1.2.16" },
);
export const domainSetPerfEvents = /* @__PURE__ */ procedure(
  "DOMAIN_SET_PERF_EVENTS",
  366,
  { dom: domain, params: /* @__PURE__ */ typedParameters(64), flags: uint },
  {},
  { since: "1.3.3" },
);
export const domainSetGuestVcpus = /* @__PURE__ */ procedure(
  "DOMAIN_SET_GUEST_VCPUS",
  372,
  { dom: domain, cpumap: text, state: int, flags: uint },
  {},
  { since: "2.0.0" },
);
export const domainSetVcpu = /* @__PURE__ */ procedure(
  "DOMAIN_SET_VCPU",
  384,
  { dom: domain, cpumap: text, state: int, flags: uint },
  {},
  { since: "3.1.0" },
);
export const domainSetBlockThreshold = /* @__PURE__ */ procedure(
  "DOMAIN_SET_BLOCK_THRESHOLD",
  386,
  { dom: domain, dev: text, threshold: uhyper, flags: uint },
  {},
  { since: "3.1.0" },
);
export const domainSetLifecycleAction = /* @__PURE__ */ procedure(
  "DOMAIN_SET_LIFECYCLE_ACTION",
  390,
  { dom: domain, type: uint, action: uint, flags: uint },
  {},
  { since: "3.9.0" },
);
export const domainSetIothreadParams = /* @__PURE__ */ procedure(
  "DOMAIN_SET_IOTHREAD_PARAMS",
  402,
  { dom: domain, iothreadId: uint, params: /* @__PURE__ */ typedParameters(64), flags: uint },
  {},
  { since: "4.10.0" },
);
export const domainSetLaunchSecurityState = /* @__PURE__ */ procedure(
  "DOMAIN_SET_LAUNCH_SECURITY_STATE",
  439,
  { dom: domain, params: /* @__PURE__ */ typedParameters(64), flags: uint },
  {},
  { since: "8.0.0" },
);
export const domainSetAutostartOnce = /* @__PURE__ */ procedure(
  "DOMAIN_SET_AUTOSTART_ONCE",
  450,
  { dom: domain, autostart: bool },
  {},
  { since: "11.2.0" },
);
export const domainSetThrottleGroup = /* @__PURE__ */ procedure(
  "DOMAIN_SET_THROTTLE_GROUP",
  451,
  { dom: domain, group: text, params: /* @__PURE__ */ typedParameters(32), flags: uint },
  {},
  { since: "11.2.0" },
);
