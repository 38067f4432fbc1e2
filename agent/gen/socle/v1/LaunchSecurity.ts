// Original file: proto/socle/v1/vm.proto

export const LaunchSecurity = {
  LAUNCH_SECURITY_UNSPECIFIED: 'LAUNCH_SECURITY_UNSPECIFIED',
  LAUNCH_SECURITY_SEV: 'LAUNCH_SECURITY_SEV',
  LAUNCH_SECURITY_SEV_SNP: 'LAUNCH_SECURITY_SEV_SNP',
  LAUNCH_SECURITY_TDX: 'LAUNCH_SECURITY_TDX',
} as const;

export type LaunchSecurity =
  | 'LAUNCH_SECURITY_UNSPECIFIED'
  | 0
  | 'LAUNCH_SECURITY_SEV'
  | 1
  | 'LAUNCH_SECURITY_SEV_SNP'
  | 2
  | 'LAUNCH_SECURITY_TDX'
  | 3

export type LaunchSecurity__Output = typeof LaunchSecurity[keyof typeof LaunchSecurity]
