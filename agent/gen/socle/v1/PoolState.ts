// Original file: proto/socle/v1/storage.proto

export const PoolState = {
  POOL_STATE_UNSPECIFIED: 'POOL_STATE_UNSPECIFIED',
  POOL_STATE_ACTIVE: 'POOL_STATE_ACTIVE',
  POOL_STATE_INACTIVE: 'POOL_STATE_INACTIVE',
  POOL_STATE_UNKNOWN: 'POOL_STATE_UNKNOWN',
} as const;

export type PoolState =
  | 'POOL_STATE_UNSPECIFIED'
  | 0
  | 'POOL_STATE_ACTIVE'
  | 1
  | 'POOL_STATE_INACTIVE'
  | 2
  | 'POOL_STATE_UNKNOWN'
  | 3

export type PoolState__Output = typeof PoolState[keyof typeof PoolState]
