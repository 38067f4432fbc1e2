// Original file: proto/socle/v1/vm.proto

export const NicAddressSource = {
  NIC_ADDRESS_SOURCE_UNSPECIFIED: 'NIC_ADDRESS_SOURCE_UNSPECIFIED',
  NIC_ADDRESS_SOURCE_LEASE: 'NIC_ADDRESS_SOURCE_LEASE',
} as const;

export type NicAddressSource =
  | 'NIC_ADDRESS_SOURCE_UNSPECIFIED'
  | 0
  | 'NIC_ADDRESS_SOURCE_LEASE'
  | 1

export type NicAddressSource__Output = typeof NicAddressSource[keyof typeof NicAddressSource]
