// Original file: proto/socle/v1/vm.proto

export const NicLink = {
  NIC_LINK_UNSPECIFIED: 'NIC_LINK_UNSPECIFIED',
  NIC_LINK_UP: 'NIC_LINK_UP',
  NIC_LINK_DOWN: 'NIC_LINK_DOWN',
} as const;

export type NicLink =
  | 'NIC_LINK_UNSPECIFIED'
  | 0
  | 'NIC_LINK_UP'
  | 1
  | 'NIC_LINK_DOWN'
  | 2

export type NicLink__Output = typeof NicLink[keyof typeof NicLink]
