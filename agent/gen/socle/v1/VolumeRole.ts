// Original file: proto/socle/v1/storage.proto

export const VolumeRole = {
  VOLUME_ROLE_UNSPECIFIED: 'VOLUME_ROLE_UNSPECIFIED',
  VOLUME_ROLE_DISK: 'VOLUME_ROLE_DISK',
  VOLUME_ROLE_BASE: 'VOLUME_ROLE_BASE',
  VOLUME_ROLE_KERNEL: 'VOLUME_ROLE_KERNEL',
  VOLUME_ROLE_FREE: 'VOLUME_ROLE_FREE',
} as const;

export type VolumeRole =
  | 'VOLUME_ROLE_UNSPECIFIED'
  | 0
  | 'VOLUME_ROLE_DISK'
  | 1
  | 'VOLUME_ROLE_BASE'
  | 2
  | 'VOLUME_ROLE_KERNEL'
  | 3
  | 'VOLUME_ROLE_FREE'
  | 4

export type VolumeRole__Output = typeof VolumeRole[keyof typeof VolumeRole]
