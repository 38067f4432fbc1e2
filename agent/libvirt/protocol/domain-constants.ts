/** Numbers of libvirt-domain.h about domains; VIR_ and the common prefix left out. */

export const DomainState = {
  NOSTATE: 0,
  RUNNING: 1,
  BLOCKED: 2,
  PAUSED: 3,
  SHUTDOWN: 4,
  SHUTOFF: 5,
  CRASHED: 6,
  PMSUSPENDED: 7,
} as const;

/** Why a domain is in its state: look up by the name of the state. */
export const DomainStateReason = {
  NOSTATE: { UNKNOWN: 0 },
  RUNNING: {
    UNKNOWN: 0,
    BOOTED: 1,
    MIGRATED: 2,
    RESTORED: 3,
    FROM_SNAPSHOT: 4,
    UNPAUSED: 5,
    MIGRATION_CANCELED: 6,
    SAVE_CANCELED: 7,
    WAKEUP: 8,
    CRASHED: 9,
    POSTCOPY: 10,
    POSTCOPY_FAILED: 11,
  },
  BLOCKED: { UNKNOWN: 0 },
  PAUSED: {
    UNKNOWN: 0,
    USER: 1,
    MIGRATION: 2,
    SAVE: 3,
    DUMP: 4,
    IOERROR: 5,
    WATCHDOG: 6,
    FROM_SNAPSHOT: 7,
    SHUTTING_DOWN: 8,
    SNAPSHOT: 9,
    CRASHED: 10,
    STARTING_UP: 11,
    POSTCOPY: 12,
    POSTCOPY_FAILED: 13,
    API_ERROR: 14,
  },
  SHUTDOWN: { UNKNOWN: 0, USER: 1 },
  SHUTOFF: {
    UNKNOWN: 0,
    SHUTDOWN: 1,
    DESTROYED: 2,
    CRASHED: 3,
    MIGRATED: 4,
    SAVED: 5,
    FAILED: 6,
    FROM_SNAPSHOT: 7,
    DAEMON: 8,
  },
  CRASHED: { UNKNOWN: 0, PANICKED: 1 },
  PMSUSPENDED: { UNKNOWN: 0 },
} as const;

export const DomainListFlag = {
  ACTIVE: 1,
  INACTIVE: 2,
  PERSISTENT: 4,
  TRANSIENT: 8,
  RUNNING: 16,
  PAUSED: 32,
  SHUTOFF: 64,
  OTHER: 128,
  MANAGEDSAVE: 0x100,
  NO_MANAGEDSAVE: 0x200,
  AUTOSTART: 0x400,
  NO_AUTOSTART: 0x800,
  HAS_SNAPSHOT: 0x1000,
  NO_SNAPSHOT: 0x2000,
  HAS_CHECKPOINT: 0x4000,
  NO_CHECKPOINT: 0x8000,
} as const;

/** Groups of the bulk stats. */
export const DomainStats = {
  STATE: 1,
  CPU_TOTAL: 2,
  BALLOON: 4,
  VCPU: 8,
  INTERFACE: 16,
  BLOCK: 32,
  PERF: 64,
  IOTHREAD: 128,
  MEMORY: 0x100,
  DIRTYRATE: 0x200,
  VM: 0x400,
} as const;

/** NOWAIT leaves out what a busy monitor would hold up; ENFORCE_STATS makes a group that is not supported an error. */
export const DomainStatsFlag = {
  ACTIVE: 1,
  INACTIVE: 2,
  PERSISTENT: 4,
  TRANSIENT: 8,
  RUNNING: 16,
  PAUSED: 32,
  SHUTOFF: 64,
  OTHER: 128,
  NOWAIT: 0x20000000,
  BACKING: 0x40000000,
  ENFORCE_STATS: 0x80000000,
} as const;

export const DomainXmlFlag = {
  SECURE: 1,
  INACTIVE: 2,
  UPDATE_CPU: 4,
  MIGRATABLE: 8,
} as const;

export const DomainDefineFlag = {
  VALIDATE: 1,
} as const;

export const DomainUndefineFlag = {
  MANAGED_SAVE: 1,
  SNAPSHOTS_METADATA: 2,
  NVRAM: 4,
  KEEP_NVRAM: 8,
  CHECKPOINTS_METADATA: 16,
  TPM: 32,
  KEEP_TPM: 64,
} as const;

/** PAUSED, AUTODESTROY: VIR_DOMAIN_START_*. */
export const DomainCreateFlag = {
  PAUSED: 1,
  AUTODESTROY: 2,
  BYPASS_CACHE: 4,
  FORCE_BOOT: 8,
  VALIDATE: 16,
  RESET_NVRAM: 32,
} as const;

/** DEFAULT lets the hypervisor choose; more than one is tried in turn. The same for a reboot. */
export const DomainShutdownFlag = {
  DEFAULT: 0,
  ACPI_POWER_BTN: 1,
  GUEST_AGENT: 2,
  INITCTL: 4,
  SIGNAL: 8,
  PARAVIRT: 16,
} as const;

/** GRACEFUL fails rather than kill a QEMU that will not end on SIGTERM. */
export const DomainDestroyFlag = {
  DEFAULT: 0,
  GRACEFUL: 1,
  REMOVE_LOGS: 2,
} as const;

export const DomainSaveFlag = {
  BYPASS_CACHE: 1,
  RUNNING: 2,
  PAUSED: 4,
  RESET_NVRAM: 8,
} as const;

export const DomainMetadataType = {
  DESCRIPTION: 0,
  TITLE: 1,
  ELEMENT: 2,
} as const;

/** Which definition a change or a question is about. */
export const DomainAffect = {
  CURRENT: 0,
  LIVE: 1,
  CONFIG: 2,
} as const;

export const DomainDeviceModifyFlag = {
  CURRENT: 0,
  LIVE: 1,
  CONFIG: 2,
  FORCE: 4,
} as const;

export const DomainVcpuFlag = {
  CURRENT: 0,
  LIVE: 1,
  CONFIG: 2,
  MAXIMUM: 4,
  GUEST: 8,
  HOTPLUGGABLE: 16,
} as const;

export const DomainMemoryFlag = {
  CURRENT: 0,
  LIVE: 1,
  CONFIG: 2,
  MAXIMUM: 4,
} as const;

export const VcpuState = {
  OFFLINE: 0,
  RUNNING: 1,
  BLOCKED: 2,
} as const;

export const DomainMemoryStat = {
  SWAP_IN: 0,
  SWAP_OUT: 1,
  MAJOR_FAULT: 2,
  MINOR_FAULT: 3,
  UNUSED: 4,
  AVAILABLE: 5,
  ACTUAL_BALLOON: 6,
  RSS: 7,
  USABLE: 8,
  LAST_UPDATE: 9,
  DISK_CACHES: 10,
  HUGETLB_PGALLOC: 11,
  HUGETLB_PGFAIL: 12,
} as const;

export const DomainControlState = {
  OK: 0,
  JOB: 1,
  OCCUPIED: 2,
  ERROR: 3,
} as const;

/** FORCE throws whoever holds the console out; SAFE refuses a console that cannot be shared safely. */
export const DomainConsoleFlag = {
  FORCE: 1,
  SAFE: 2,
} as const;

export const DomainChannelFlag = {
  FORCE: 1,
} as const;

export const DomainLifecycleKind = {
  POWEROFF: 0,
  REBOOT: 1,
  CRASH: 2,
} as const;

export const DomainLifecycleAction = {
  DESTROY: 0,
  RESTART: 1,
  RESTART_RENAME: 2,
  PRESERVE: 3,
  COREDUMP_DESTROY: 4,
  COREDUMP_RESTART: 5,
} as const;

export const DomainMessageType = {
  DEPRECATION: 1,
  TAINTING: 2,
  IOERRORS: 4,
} as const;

export const KeycodeSet = {
  LINUX: 0,
  XT: 1,
  ATSET1: 2,
  ATSET2: 3,
  ATSET3: 4,
  OSX: 5,
  XT_KBD: 6,
  USB: 7,
  WIN32: 8,
  QNUM: 9,
} as const;
