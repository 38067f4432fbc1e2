/** Numbers of libvirt-domain.h about jobs, live migration and the guest agent. */

export const JobType = {
  NONE: 0,
  BOUNDED: 1,
  UNBOUNDED: 2,
  COMPLETED: 3,
  FAILED: 4,
  CANCELLED: 5,
} as const;

export const JobOperation = {
  UNKNOWN: 0,
  START: 1,
  SAVE: 2,
  RESTORE: 3,
  MIGRATION_IN: 4,
  MIGRATION_OUT: 5,
  SNAPSHOT: 6,
  SNAPSHOT_REVERT: 7,
  DUMP: 8,
  BACKUP: 9,
  SNAPSHOT_DELETE: 10,
} as const;

export const JobStatsFlag = {
  COMPLETED: 1,
  KEEP_COMPLETED: 2,
} as const;

export const AbortJobFlag = {
  POSTCOPY: 1,
} as const;

export const DirtyRateMode = {
  PAGE_SAMPLING: 0,
  DIRTY_BITMAP: 1,
  DIRTY_RING: 2,
} as const;

export const DirtyRateStatus = {
  UNSTARTED: 0,
  MEASURING: 1,
  MEASURED: 2,
} as const;

export const MigrateFlag = {
  LIVE: 1,
  PEER2PEER: 2,
  TUNNELLED: 4,
  PERSIST_DEST: 8,
  UNDEFINE_SOURCE: 16,
  PAUSED: 32,
  NON_SHARED_DISK: 64,
  NON_SHARED_INC: 128,
  CHANGE_PROTECTION: 0x100,
  UNSAFE: 0x200,
  OFFLINE: 0x400,
  COMPRESSED: 0x800,
  ABORT_ON_ERROR: 0x1000,
  AUTO_CONVERGE: 0x2000,
  RDMA_PIN_ALL: 0x4000,
  POSTCOPY: 0x8000,
  TLS: 0x10000,
  PARALLEL: 0x20000,
  NON_SHARED_SYNCHRONOUS_WRITES: 0x40000,
  POSTCOPY_RESUME: 0x80000,
  ZEROCOPY: 0x100000,
} as const;

export const MigrateSpeedFlag = {
  POSTCOPY: 1,
} as const;

/** Names of the typed parameters of a migration. */
export const MigrateParam = {
  URI: "migrate_uri",
  DEST_NAME: "destination_name",
  DEST_XML: "destination_xml",
  PERSIST_XML: "persistent_xml",
  BANDWIDTH: "bandwidth",
  BANDWIDTH_POSTCOPY: "bandwidth.postcopy",
  BANDWIDTH_AVAIL_SWITCHOVER: "bandwidth.avail.switchover",
  GRAPHICS_URI: "graphics_uri",
  LISTEN_ADDRESS: "listen_address",
  MIGRATE_DISKS: "migrate_disks",
  MIGRATE_DISKS_DETECT_ZEROES: "migrate_disks_detect_zeroes",
  DISKS_PORT: "disks_port",
  DISKS_URI: "disks_uri",
  COMPRESSION: "compression",
  COMPRESSION_MT_LEVEL: "compression.mt.level",
  COMPRESSION_MT_THREADS: "compression.mt.threads",
  COMPRESSION_MT_DTHREADS: "compression.mt.dthreads",
  COMPRESSION_XBZRLE_CACHE: "compression.xbzrle.cache",
  COMPRESSION_ZLIB_LEVEL: "compression.zlib.level",
  COMPRESSION_ZSTD_LEVEL: "compression.zstd.level",
  AUTO_CONVERGE_INITIAL: "auto_converge.initial",
  AUTO_CONVERGE_INCREMENT: "auto_converge.increment",
  PARALLEL_CONNECTIONS: "parallel.connections",
  TLS_DESTINATION: "tls.destination",
} as const;

export const GuestInfoType = {
  USERS: 1,
  OS: 2,
  TIMEZONE: 4,
  HOSTNAME: 8,
  FILESYSTEM: 16,
  DISKS: 32,
  INTERFACES: 64,
  LOAD: 128,
} as const;

export const InterfaceAddressesSource = {
  LEASE: 0,
  AGENT: 1,
  ARP: 2,
} as const;

export const DomainHostnameFlag = {
  LEASE: 1,
  AGENT: 2,
} as const;

export const DomainTimeFlag = {
  SYNC: 1,
} as const;

export const AgentTimeout = {
  BLOCK: -2,
  DEFAULT: -1,
  NOWAIT: 0,
} as const;

export const MonitorCommandFlag = {
  DEFAULT: 0,
  HMP: 1,
} as const;
