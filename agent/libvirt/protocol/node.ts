// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import {
  array,
  bool,
  chars,
  int,
  opaque,
  optionalText,
  text,
  typedParameters,
  uhyper,
  uint,
} from "../rpc/xdr.ts";
import { nodeCpuStats, nodeMemoryStats } from "./structs.ts";

export const nodeGetInfo = /* @__PURE__ */ procedure(
  "NODE_GET_INFO",
  6,
  {},
  {
    model: /* @__PURE__ */ chars(32),
    memory: uhyper,
    cpus: int,
    mhz: int,
    nodes: int,
    sockets: int,
    cores: int,
    threads: int,
  },
  { since: "0.3.0", onlyReads: true },
);
export const nodeGetCellsFreeMemory = /* @__PURE__ */ procedure(
  "NODE_GET_CELLS_FREE_MEMORY",
  101,
  { startCell: int, maxcells: int },
  { cells: /* @__PURE__ */ array(uhyper, 1024) },
  { since: "0.3.3", onlyReads: true },
);
export const nodeGetFreeMemory = /* @__PURE__ */ procedure(
  "NODE_GET_FREE_MEMORY",
  102,
  {},
  { freeMem: uhyper },
  { since: "0.3.3", onlyReads: true },
);
export const nodeNumOfDevices = /* @__PURE__ */ procedure(
  "NODE_NUM_OF_DEVICES",
  111,
  { cap: optionalText, flags: uint },
  { num: int },
  { since: "0.5.0", family: "nodedev", onlyReads: true },
);
export const nodeListDevices = /* @__PURE__ */ procedure(
  "NODE_LIST_DEVICES",
  112,
  { cap: optionalText, maxnames: int, flags: uint },
  { names: /* @__PURE__ */ array(text, 65536) },
  { since: "0.5.0", family: "nodedev", onlyReads: true },
);
export const nodeGetSecurityModel = /* @__PURE__ */ procedure(
  "NODE_GET_SECURITY_MODEL",
  122,
  {},
  { model: /* @__PURE__ */ array(int, 257), doi: /* @__PURE__ */ array(int, 257) },
  { since: "0.6.1", onlyReads: true },
);
export const nodeGetCpuStats = /* @__PURE__ */ procedure(
  "NODE_GET_CPU_STATS",
  227,
  { cpuNum: int, nparams: int, flags: uint },
  { params: /* @__PURE__ */ array(nodeCpuStats, 16), nparams: int },
  { since: "0.9.3", onlyReads: true },
);
export const nodeGetMemoryStats = /* @__PURE__ */ procedure(
  "NODE_GET_MEMORY_STATS",
  228,
  { nparams: int, cellNum: int, flags: uint },
  { params: /* @__PURE__ */ array(nodeMemoryStats, 16), nparams: int },
  { since: "0.9.3", onlyReads: true },
);
export const nodeSuspendForDuration = /* @__PURE__ */ procedure(
  "NODE_SUSPEND_FOR_DURATION",
  250,
  { target: uint, duration: uhyper, flags: uint },
  {},
  { since: "0.9.8" },
);
export const nodeSetMemoryParameters = /* @__PURE__ */ procedure(
  "NODE_SET_MEMORY_PARAMETERS",
  288,
  { params: /* @__PURE__ */ typedParameters(64), flags: uint },
  {},
  { since: "0.10.2" },
);
export const nodeGetMemoryParameters = /* @__PURE__ */ procedure(
  "NODE_GET_MEMORY_PARAMETERS",
  289,
  { nparams: int, flags: uint },
  { params: /* @__PURE__ */ typedParameters(64), nparams: int },
  { since: "0.10.2", onlyReads: true },
);
export const nodeGetCpuMap = /* @__PURE__ */ procedure(
  "NODE_GET_CPU_MAP",
  293,
  { needMap: bool, needOnline: bool, flags: uint },
  { cpumap: /* @__PURE__ */ opaque(2048), online: uint, ret: int },
  { since: "1.0.0", onlyReads: true },
);
export const nodeGetFreePages = /* @__PURE__ */ procedure(
  "NODE_GET_FREE_PAGES",
  340,
  { pages: /* @__PURE__ */ array(uint, 1024), startCell: int, cellCount: uint, flags: uint },
  { counts: /* @__PURE__ */ array(uhyper, 1024) },
  { since: "1.2.6", onlyReads: true },
);
export const nodeAllocPages = /* @__PURE__ */ procedure(
  "NODE_ALLOC_PAGES",
  347,
  {
    pageSizes: /* @__PURE__ */ array(uint, 1024),
    pageCounts: /* @__PURE__ */ array(uhyper, 1024),
    startCell: int,
    cellCount: uint,
    flags: uint,
  },
  { ret: int },
  { since: "1.2.9" },
);
export const nodeGetSevInfo = /* @__PURE__ */ procedure(
  "NODE_GET_SEV_INFO",
  395,
  { nparams: int, flags: uint },
  { params: /* @__PURE__ */ typedParameters(64), nparams: int },
  { since: "4.5.0", onlyReads: true },
);
