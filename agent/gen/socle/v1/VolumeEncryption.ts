// Original file: proto/socle/v1/vm.proto

export const VolumeEncryption = {
  VOLUME_ENCRYPTION_UNSPECIFIED: 'VOLUME_ENCRYPTION_UNSPECIFIED',
  VOLUME_ENCRYPTION_LUKS: 'VOLUME_ENCRYPTION_LUKS',
} as const;

export type VolumeEncryption =
  | 'VOLUME_ENCRYPTION_UNSPECIFIED'
  | 0
  | 'VOLUME_ENCRYPTION_LUKS'
  | 1

export type VolumeEncryption__Output = typeof VolumeEncryption[keyof typeof VolumeEncryption]
