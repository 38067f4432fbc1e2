// Original file: proto/socle/v1/host.proto

export const Effect = {
  EFFECT_UNSPECIFIED: 'EFFECT_UNSPECIFIED',
  EFFECT_NONE: 'EFFECT_NONE',
  EFFECT_DEGRADED: 'EFFECT_DEGRADED',
  EFFECT_NO_SCHEDULE: 'EFFECT_NO_SCHEDULE',
  EFFECT_EVACUATE: 'EFFECT_EVACUATE',
  EFFECT_FENCE_REQUESTED: 'EFFECT_FENCE_REQUESTED',
} as const;

export type Effect =
  | 'EFFECT_UNSPECIFIED'
  | 0
  | 'EFFECT_NONE'
  | 1
  | 'EFFECT_DEGRADED'
  | 2
  | 'EFFECT_NO_SCHEDULE'
  | 3
  | 'EFFECT_EVACUATE'
  | 4
  | 'EFFECT_FENCE_REQUESTED'
  | 5

export type Effect__Output = typeof Effect[keyof typeof Effect]
