// Original file: proto/socle/v1/vm.proto

export const DiskFormat = {
  DISK_FORMAT_UNSPECIFIED: 'DISK_FORMAT_UNSPECIFIED',
  DISK_FORMAT_QCOW2: 'DISK_FORMAT_QCOW2',
  DISK_FORMAT_RAW: 'DISK_FORMAT_RAW',
} as const;

export type DiskFormat =
  | 'DISK_FORMAT_UNSPECIFIED'
  | 0
  | 'DISK_FORMAT_QCOW2'
  | 1
  | 'DISK_FORMAT_RAW'
  | 2

export type DiskFormat__Output = typeof DiskFormat[keyof typeof DiskFormat]
