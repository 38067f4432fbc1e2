// Original file: proto/socle/v1/vm.proto

export const Firmware = {
  FIRMWARE_UNSPECIFIED: 'FIRMWARE_UNSPECIFIED',
  FIRMWARE_BIOS: 'FIRMWARE_BIOS',
  FIRMWARE_UEFI: 'FIRMWARE_UEFI',
  FIRMWARE_UEFI_SECURE_BOOT: 'FIRMWARE_UEFI_SECURE_BOOT',
} as const;

export type Firmware =
  | 'FIRMWARE_UNSPECIFIED'
  | 0
  | 'FIRMWARE_BIOS'
  | 1
  | 'FIRMWARE_UEFI'
  | 2
  | 'FIRMWARE_UEFI_SECURE_BOOT'
  | 3

export type Firmware__Output = typeof Firmware[keyof typeof Firmware]
