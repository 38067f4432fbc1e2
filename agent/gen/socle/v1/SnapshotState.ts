// Original file: proto/socle/v1/snapshot.proto

export const SnapshotState = {
  SNAPSHOT_STATE_UNSPECIFIED: 'SNAPSHOT_STATE_UNSPECIFIED',
  SNAPSHOT_STATE_READY: 'SNAPSHOT_STATE_READY',
  SNAPSHOT_STATE_DELETING: 'SNAPSHOT_STATE_DELETING',
} as const;

export type SnapshotState =
  | 'SNAPSHOT_STATE_UNSPECIFIED'
  | 0
  | 'SNAPSHOT_STATE_READY'
  | 1
  | 'SNAPSHOT_STATE_DELETING'
  | 2

export type SnapshotState__Output = typeof SnapshotState[keyof typeof SnapshotState]
