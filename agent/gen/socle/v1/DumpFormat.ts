// Original file: proto/socle/v1/vm.proto

export const DumpFormat = {
  DUMP_FORMAT_UNSPECIFIED: 'DUMP_FORMAT_UNSPECIFIED',
  DUMP_FORMAT_ELF: 'DUMP_FORMAT_ELF',
  DUMP_FORMAT_KDUMP_ZLIB: 'DUMP_FORMAT_KDUMP_ZLIB',
} as const;

export type DumpFormat =
  | 'DUMP_FORMAT_UNSPECIFIED'
  | 0
  | 'DUMP_FORMAT_ELF'
  | 1
  | 'DUMP_FORMAT_KDUMP_ZLIB'
  | 2

export type DumpFormat__Output = typeof DumpFormat[keyof typeof DumpFormat]
