/** The machine the daemon runs on. */
import { procedure } from "../rpc/procedure.ts";
import {
  array,
  bool,
  chars,
  int,
  opaque,
  string,
  struct,
  typedParameters,
  uhyper,
  uint,
} from "../rpc/xdr.ts";

const read = { idempotent: true } as const;

/** `memory` is KiB. */
export const nodeGetInfo = procedure(
  "NODE_GET_INFO",
  6,
  {},
  {
    model: chars(32),
    memory: uhyper,
    cpus: int,
    mhz: int,
    nodes: int,
    sockets: int,
    cores: int,
    threads: int,
  },
  read,
);
/** Bytes. */
export const nodeGetFreeMemory = procedure("NODE_GET_FREE_MEMORY", 102, {}, { freeMem: uhyper }, read);
/** Bytes by NUMA cell. */
export const nodeGetCellsFreeMemory = procedure(
  "NODE_GET_CELLS_FREE_MEMORY",
  101,
  { startCell: int, maxcells: int },
  { cells: array(uhyper, 1024) },
  read,
);

const nodeStat = struct({ field: string(), value: uhyper });

/** Nanoseconds by kind. Ask with `nparams` 0 for how many there are, then with that number. `cpuNum` -1 is all CPUs. */
export const nodeGetCpuStats = procedure(
  "NODE_GET_CPU_STATS",
  227,
  { cpuNum: int, nparams: int, flags: uint },
  { params: array(nodeStat, 16), nparams: int },
  read,
);
/** KiB by kind, in two calls like the CPU stats. `cellNum` -1 is all cells. */
export const nodeGetMemoryStats = procedure(
  "NODE_GET_MEMORY_STATS",
  228,
  { nparams: int, cellNum: int, flags: uint },
  { params: array(nodeStat, 16), nparams: int },
  read,
);
export const nodeGetCpuMap = procedure(
  "NODE_GET_CPU_MAP",
  293,
  { needMap: bool, needOnline: bool, flags: uint },
  { cpumap: opaque(2048), online: uint, ret: int },
  read,
);
/** `pages` are page sizes in KiB; `counts` go cell by cell, in the order of `pages`. */
export const nodeGetFreePages = procedure(
  "NODE_GET_FREE_PAGES",
  340,
  { pages: array(uint, 1024), startCell: int, cellCount: uint, flags: uint },
  { counts: array(uhyper, 1024) },
  read,
);
export const nodeAllocPages = procedure(
  "NODE_ALLOC_PAGES",
  347,
  {
    pageSizes: array(uint, 1024),
    pageCounts: array(uhyper, 1024),
    startCell: int,
    cellCount: uint,
    flags: uint,
  },
  { ret: int },
);
/** KSM. In two calls like the CPU stats. */
export const nodeGetMemoryParameters = procedure(
  "NODE_GET_MEMORY_PARAMETERS",
  289,
  { nparams: int, flags: uint },
  { params: typedParameters(64), nparams: int },
  read,
);
export const nodeSetMemoryParameters = procedure(
  "NODE_SET_MEMORY_PARAMETERS",
  288,
  { params: typedParameters(64), flags: uint },
  {},
);
