// Original file: proto/socle/v1/vm.proto

export const CpuMode = {
  CPU_MODE_UNSPECIFIED: 'CPU_MODE_UNSPECIFIED',
  CPU_MODE_HOST_PASSTHROUGH: 'CPU_MODE_HOST_PASSTHROUGH',
  CPU_MODE_HOST_MODEL: 'CPU_MODE_HOST_MODEL',
  CPU_MODE_CUSTOM: 'CPU_MODE_CUSTOM',
} as const;

export type CpuMode =
  | 'CPU_MODE_UNSPECIFIED'
  | 0
  | 'CPU_MODE_HOST_PASSTHROUGH'
  | 1
  | 'CPU_MODE_HOST_MODEL'
  | 2
  | 'CPU_MODE_CUSTOM'
  | 3

export type CpuMode__Output = typeof CpuMode[keyof typeof CpuMode]
