// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
export const NodeSuspendTarget = { MEM: 0, DISK: 1, HYBRID: 2 } as const;
export const NodeGetCPUStatsAllCPUs = { CPU_STATS_ALL_CPUS: -1 } as const;
export const NodeGetMemoryStatsAllCells = { MEMORY_STATS_ALL_CELLS: -1 } as const;
export const ConnectFlags = { RO: 1, NO_ALIASES: 2 } as const;
export const ConnectCredentialType = {
  USERNAME: 1,
  AUTHNAME: 2,
  LANGUAGE: 3,
  CNONCE: 4,
  PASSPHRASE: 5,
  ECHOPROMPT: 6,
  NOECHOPROMPT: 7,
  REALM: 8,
  EXTERNAL: 9,
} as const;
export const CPUCompareResult = { ERROR: -1, INCOMPATIBLE: 0, IDENTICAL: 1, SUPERSET: 2 } as const;
export const ConnectCompareCPUFlags = { FAIL_INCOMPATIBLE: 1, VALIDATE_XML: 2 } as const;
export const ConnectBaselineCPUFlags = { EXPAND_FEATURES: 1, MIGRATABLE: 2 } as const;
export const NodeAllocPagesFlags = { ADD: 0, SET: 1 } as const;
export const VIR_NODE_CPU_STATS_KERNEL = "kernel";
export const VIR_NODE_CPU_STATS_USER = "user";
export const VIR_NODE_CPU_STATS_IDLE = "idle";
export const VIR_NODE_CPU_STATS_IOWAIT = "iowait";
export const VIR_NODE_CPU_STATS_INTR = "intr";
export const VIR_NODE_CPU_STATS_UTILIZATION = "utilization";
export const VIR_NODE_MEMORY_STATS_TOTAL = "total";
export const VIR_NODE_MEMORY_STATS_FREE = "free";
export const VIR_NODE_MEMORY_STATS_BUFFERS = "buffers";
export const VIR_NODE_MEMORY_STATS_CACHED = "cached";
export const VIR_NODE_MEMORY_SHARED_PAGES_TO_SCAN = "shm_pages_to_scan";
export const VIR_NODE_MEMORY_SHARED_SLEEP_MILLISECS = "shm_sleep_millisecs";
export const VIR_NODE_MEMORY_SHARED_PAGES_SHARED = "shm_pages_shared";
export const VIR_NODE_MEMORY_SHARED_PAGES_SHARING = "shm_pages_sharing";
export const VIR_NODE_MEMORY_SHARED_PAGES_UNSHARED = "shm_pages_unshared";
export const VIR_NODE_MEMORY_SHARED_PAGES_VOLATILE = "shm_pages_volatile";
export const VIR_NODE_MEMORY_SHARED_FULL_SCANS = "shm_full_scans";
export const VIR_NODE_MEMORY_SHARED_MERGE_ACROSS_NODES = "shm_merge_across_nodes";
export const VIR_NODE_SEV_PDH = "pdh";
export const VIR_NODE_SEV_CERT_CHAIN = "cert-chain";
export const VIR_NODE_SEV_CPU0_ID = "cpu0-id";
export const VIR_NODE_SEV_CBITPOS = "cbitpos";
export const VIR_NODE_SEV_REDUCED_PHYS_BITS = "reduced-phys-bits";
export const VIR_NODE_SEV_MAX_GUESTS = "max-guests";
export const VIR_NODE_SEV_MAX_ES_GUESTS = "max-es-guests";
export const VIR_CONNECT_IDENTITY_USER_NAME = "user-name";
export const VIR_CONNECT_IDENTITY_UNIX_USER_ID = "unix-user-id";
export const VIR_CONNECT_IDENTITY_GROUP_NAME = "group-name";
export const VIR_CONNECT_IDENTITY_UNIX_GROUP_ID = "unix-group-id";
export const VIR_CONNECT_IDENTITY_PROCESS_ID = "process-id";
export const VIR_CONNECT_IDENTITY_PROCESS_TIME = "process-time";
export const VIR_CONNECT_IDENTITY_SASL_USER_NAME = "sasl-user-name";
export const VIR_CONNECT_IDENTITY_X509_DISTINGUISHED_NAME = "x509-distinguished-name";
export const VIR_CONNECT_IDENTITY_SELINUX_CONTEXT = "selinux-context";
