// Original file: proto/socle/v1/host.proto

export const DeviceState = {
  DEVICE_STATE_UNSPECIFIED: 'DEVICE_STATE_UNSPECIFIED',
  DEVICE_STATE_FREE: 'DEVICE_STATE_FREE',
  DEVICE_STATE_ALLOCATED: 'DEVICE_STATE_ALLOCATED',
  DEVICE_STATE_CLAIMED: 'DEVICE_STATE_CLAIMED',
  DEVICE_STATE_UNHEALTHY: 'DEVICE_STATE_UNHEALTHY',
} as const;

export type DeviceState =
  | 'DEVICE_STATE_UNSPECIFIED'
  | 0
  | 'DEVICE_STATE_FREE'
  | 1
  | 'DEVICE_STATE_ALLOCATED'
  | 2
  | 'DEVICE_STATE_CLAIMED'
  | 3
  | 'DEVICE_STATE_UNHEALTHY'
  | 4

export type DeviceState__Output = typeof DeviceState[keyof typeof DeviceState]
