// Original file: proto/socle/v1/vm.proto

export const CrashPolicy = {
  CRASH_POLICY_UNSPECIFIED: 'CRASH_POLICY_UNSPECIFIED',
  CRASH_POLICY_STOP: 'CRASH_POLICY_STOP',
  CRASH_POLICY_RESTART: 'CRASH_POLICY_RESTART',
} as const;

export type CrashPolicy =
  | 'CRASH_POLICY_UNSPECIFIED'
  | 0
  | 'CRASH_POLICY_STOP'
  | 1
  | 'CRASH_POLICY_RESTART'
  | 2

export type CrashPolicy__Output = typeof CrashPolicy[keyof typeof CrashPolicy]
