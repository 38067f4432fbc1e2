/** CPUs and memory of a domain. A `cpumap` has one bit a CPU, the lowest bit of the first byte being CPU 0. */
import { procedure } from "../rpc/procedure.ts";
import { array, int, opaque, string, struct, typedParameters, uhyper, uint } from "../rpc/xdr.ts";
import { domain } from "./objects.ts";

const read = { idempotent: true } as const;

export const domainGetVcpusFlags = procedure(
  "DOMAIN_GET_VCPUS_FLAGS",
  200,
  { dom: domain, flags: uint },
  { num: int },
  read,
);
export const domainSetVcpusFlags = procedure(
  "DOMAIN_SET_VCPUS_FLAGS",
  199,
  { dom: domain, nvcpus: uint, flags: uint },
  {},
);
export const domainSetVcpu = procedure(
  "DOMAIN_SET_VCPU",
  384,
  { dom: domain, cpumap: string(), state: int, flags: uint },
  {},
);

const vcpuInfo = struct({ number: uint, state: int, cpuTime: uhyper, cpu: int });

/** `cpumaps` holds `maplen` bytes for each of the `maxinfo` vCPUs. CPU time is nanoseconds. */
export const domainGetVcpus = procedure(
  "DOMAIN_GET_VCPUS",
  20,
  { dom: domain, maxinfo: int, maplen: int },
  { info: array(vcpuInfo, 16384), cpumaps: opaque(8388608) },
  read,
);
export const domainGetVcpuPinInfo = procedure(
  "DOMAIN_GET_VCPU_PIN_INFO",
  230,
  { dom: domain, ncpumaps: int, maplen: int, flags: uint },
  { cpumaps: opaque(8388608), num: int },
  read,
);
export const domainPinVcpuFlags = procedure(
  "DOMAIN_PIN_VCPU_FLAGS",
  225,
  { dom: domain, vcpu: uint, cpumap: opaque(2048), flags: uint },
  {},
);
export const domainGetEmulatorPinInfo = procedure(
  "DOMAIN_GET_EMULATOR_PIN_INFO",
  280,
  { dom: domain, maplen: int, flags: uint },
  { cpumaps: opaque(8388608), ret: int },
  read,
);
export const domainPinEmulator = procedure(
  "DOMAIN_PIN_EMULATOR",
  279,
  { dom: domain, cpumap: opaque(2048), flags: uint },
  {},
);
/** `startCpu` -1 is the total. `nparams` 0 asks how many parameters there are, `ncpus` 0 besides asks how many CPUs. */
export const domainGetCpuStats = procedure(
  "DOMAIN_GET_CPU_STATS",
  262,
  { dom: domain, nparams: uint, startCpu: int, ncpus: uint, flags: uint },
  { params: typedParameters(2048), nparams: int },
  read,
);

const domainIothreadInfo = struct({ iothreadId: uint, cpumap: opaque(2048) });

export const domainGetIothreadInfo = procedure(
  "DOMAIN_GET_IOTHREAD_INFO",
  351,
  { dom: domain, flags: uint },
  { info: array(domainIothreadInfo, 16384), ret: uint },
  read,
);
export const domainAddIothread = procedure(
  "DOMAIN_ADD_IOTHREAD",
  355,
  { dom: domain, iothreadId: uint, flags: uint },
  {},
);
export const domainDelIothread = procedure(
  "DOMAIN_DEL_IOTHREAD",
  356,
  { dom: domain, iothreadId: uint, flags: uint },
  {},
);
export const domainPinIothread = procedure(
  "DOMAIN_PIN_IOTHREAD",
  352,
  { dom: domain, iothreadsId: uint, cpumap: opaque(2048), flags: uint },
  {},
);
export const domainSetIothreadParams = procedure(
  "DOMAIN_SET_IOTHREAD_PARAMS",
  402,
  { dom: domain, iothreadId: uint, params: typedParameters(64), flags: uint },
  {},
);

// Memory is KiB.
export const domainGetMaxMemory = procedure(
  "DOMAIN_GET_MAX_MEMORY",
  17,
  { dom: domain },
  { memory: uhyper },
  read,
);
export const domainSetMemoryFlags = procedure(
  "DOMAIN_SET_MEMORY_FLAGS",
  204,
  { dom: domain, memory: uhyper, flags: uint },
  {},
);
/** Seconds; 0 stops the balloon from reporting. */
export const domainSetMemoryStatsPeriod = procedure(
  "DOMAIN_SET_MEMORY_STATS_PERIOD",
  308,
  { dom: domain, period: int, flags: uint },
  {},
);

const domainMemoryStat = struct({ tag: int, val: uhyper });

/** `tag` is one of `DomainMemoryStat`. */
export const domainMemoryStats = procedure(
  "DOMAIN_MEMORY_STATS",
  159,
  { dom: domain, maxStats: uint, flags: uint },
  { stats: array(domainMemoryStat, 1024) },
  read,
);

// Parameters. Ask with `nparams` 0 for how many there are (only that answer counts them), then with that number; with
// `TypedParameterFlag.STRING_OKAY` to get texts too.
export const domainGetMemoryParameters = procedure(
  "DOMAIN_GET_MEMORY_PARAMETERS",
  198,
  { dom: domain, nparams: int, flags: uint },
  { params: typedParameters(16), nparams: int },
  read,
);
export const domainSetMemoryParameters = procedure(
  "DOMAIN_SET_MEMORY_PARAMETERS",
  197,
  { dom: domain, params: typedParameters(16), flags: uint },
  {},
);
export const domainGetNumaParameters = procedure(
  "DOMAIN_GET_NUMA_PARAMETERS",
  255,
  { dom: domain, nparams: int, flags: uint },
  { params: typedParameters(16), nparams: int },
  read,
);
export const domainSetNumaParameters = procedure(
  "DOMAIN_SET_NUMA_PARAMETERS",
  254,
  { dom: domain, params: typedParameters(16), flags: uint },
  {},
);
export const domainGetBlkioParameters = procedure(
  "DOMAIN_GET_BLKIO_PARAMETERS",
  206,
  { dom: domain, nparams: int, flags: uint },
  { params: typedParameters(16), nparams: int },
  read,
);
export const domainSetBlkioParameters = procedure(
  "DOMAIN_SET_BLKIO_PARAMETERS",
  205,
  { dom: domain, params: typedParameters(16), flags: uint },
  {},
);
/** `nparams` is what the scheduler parameters are to be asked with. */
export const domainGetSchedulerType = procedure(
  "DOMAIN_GET_SCHEDULER_TYPE",
  56,
  { dom: domain },
  { type: string(), nparams: int },
  read,
);
export const domainGetSchedulerParametersFlags = procedure(
  "DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS",
  223,
  { dom: domain, nparams: int, flags: uint },
  { params: typedParameters(16) },
  read,
);
export const domainSetSchedulerParametersFlags = procedure(
  "DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS",
  219,
  { dom: domain, params: typedParameters(16), flags: uint },
  {},
);
