/** Numbers of libvirt-domain.h about disks and what is saved of a domain: block jobs, snapshots, checkpoints, backups. */

export const BlockResizeFlag = {
  BYTES: 1,
  CAPACITY: 2,
} as const;

export const BlockJobType = {
  UNKNOWN: 0,
  PULL: 1,
  COPY: 2,
  COMMIT: 3,
  ACTIVE_COMMIT: 4,
  BACKUP: 5,
} as const;

export const BlockJobStatus = {
  COMPLETED: 0,
  FAILED: 1,
  CANCELED: 2,
  READY: 3,
} as const;

export const BlockJobAbortFlag = {
  ASYNC: 1,
  PIVOT: 2,
} as const;

export const BlockJobInfoFlag = {
  BANDWIDTH_BYTES: 1,
} as const;

export const BlockJobSpeedFlag = {
  BANDWIDTH_BYTES: 1,
} as const;

export const BlockPullFlag = {
  BANDWIDTH_BYTES: 64,
} as const;

export const BlockCopyFlag = {
  SHALLOW: 1,
  REUSE_EXT: 2,
  TRANSIENT_JOB: 4,
  SYNCHRONOUS_WRITES: 8,
} as const;

export const BlockCommitFlag = {
  SHALLOW: 1,
  DELETE: 2,
  ACTIVE: 4,
  RELATIVE: 8,
  BANDWIDTH_BYTES: 16,
} as const;

export const BlockRebaseFlag = {
  SHALLOW: 1,
  REUSE_EXT: 2,
  COPY_RAW: 4,
  COPY: 8,
  RELATIVE: 16,
  COPY_DEV: 32,
  BANDWIDTH_BYTES: 64,
} as const;

export const DiskError = {
  NONE: 0,
  UNSPEC: 1,
  NO_SPACE: 2,
} as const;

export const SnapshotCreateFlag = {
  REDEFINE: 1,
  CURRENT: 2,
  NO_METADATA: 4,
  HALT: 8,
  DISK_ONLY: 16,
  REUSE_EXT: 32,
  QUIESCE: 64,
  ATOMIC: 128,
  LIVE: 0x100,
  VALIDATE: 0x200,
} as const;

export const SnapshotListFlag = {
  ROOTS: 1,
  DESCENDANTS: 1,
  LEAVES: 4,
  NO_LEAVES: 8,
  METADATA: 2,
  NO_METADATA: 16,
  INACTIVE: 32,
  ACTIVE: 64,
  DISK_ONLY: 128,
  INTERNAL: 0x100,
  EXTERNAL: 0x200,
  TOPOLOGICAL: 0x400,
} as const;

export const SnapshotRevertFlag = {
  RUNNING: 1,
  PAUSED: 2,
  FORCE: 4,
  RESET_NVRAM: 8,
} as const;

export const SnapshotDeleteFlag = {
  CHILDREN: 1,
  METADATA_ONLY: 2,
  CHILDREN_ONLY: 4,
} as const;

export const CheckpointCreateFlag = {
  REDEFINE: 1,
  QUIESCE: 2,
  REDEFINE_VALIDATE: 4,
} as const;

export const CheckpointXmlFlag = {
  SECURE: 1,
  NO_DOMAIN: 2,
  SIZE: 4,
} as const;

export const CheckpointListFlag = {
  ROOTS: 1,
  DESCENDANTS: 1,
  TOPOLOGICAL: 2,
  LEAVES: 4,
  NO_LEAVES: 8,
} as const;

export const CheckpointDeleteFlag = {
  CHILDREN: 1,
  METADATA_ONLY: 2,
  CHILDREN_ONLY: 4,
} as const;

export const BackupBeginFlag = {
  REUSE_EXTERNAL: 1,
} as const;
