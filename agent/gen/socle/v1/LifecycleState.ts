// Original file: proto/socle/v1/common.proto

export const LifecycleState = {
  LIFECYCLE_STATE_UNSPECIFIED: 'LIFECYCLE_STATE_UNSPECIFIED',
  LIFECYCLE_STATE_ACTIVE: 'LIFECYCLE_STATE_ACTIVE',
  LIFECYCLE_STATE_CORDONED: 'LIFECYCLE_STATE_CORDONED',
} as const;

export type LifecycleState =
  | 'LIFECYCLE_STATE_UNSPECIFIED'
  | 0
  | 'LIFECYCLE_STATE_ACTIVE'
  | 1
  | 'LIFECYCLE_STATE_CORDONED'
  | 2

export type LifecycleState__Output = typeof LifecycleState[keyof typeof LifecycleState]
