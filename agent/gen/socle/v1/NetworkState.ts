// Original file: proto/socle/v1/network.proto

export const NetworkState = {
  NETWORK_STATE_UNSPECIFIED: 'NETWORK_STATE_UNSPECIFIED',
  NETWORK_STATE_ACTIVE: 'NETWORK_STATE_ACTIVE',
  NETWORK_STATE_INACTIVE: 'NETWORK_STATE_INACTIVE',
  NETWORK_STATE_UNKNOWN: 'NETWORK_STATE_UNKNOWN',
} as const;

export type NetworkState =
  | 'NETWORK_STATE_UNSPECIFIED'
  | 0
  | 'NETWORK_STATE_ACTIVE'
  | 1
  | 'NETWORK_STATE_INACTIVE'
  | 2
  | 'NETWORK_STATE_UNKNOWN'
  | 3

export type NetworkState__Output = typeof NetworkState[keyof typeof NetworkState]
