// Original file: proto/socle/v1/common.proto

export const Presence = {
  PRESENCE_UNSPECIFIED: 'PRESENCE_UNSPECIFIED',
  PRESENCE_PRESENT: 'PRESENCE_PRESENT',
  PRESENCE_ABSENT: 'PRESENCE_ABSENT',
  PRESENCE_UNKNOWN: 'PRESENCE_UNKNOWN',
} as const;

export type Presence =
  | 'PRESENCE_UNSPECIFIED'
  | 0
  | 'PRESENCE_PRESENT'
  | 1
  | 'PRESENCE_ABSENT'
  | 2
  | 'PRESENCE_UNKNOWN'
  | 3

export type Presence__Output = typeof Presence[keyof typeof Presence]
