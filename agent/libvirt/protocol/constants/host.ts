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
