// Original file: proto/socle/v1/vm.proto

export const ManagedFilter = {
  MANAGED_FILTER_UNSPECIFIED: 'MANAGED_FILTER_UNSPECIFIED',
  MANAGED_FILTER_MANAGED: 'MANAGED_FILTER_MANAGED',
  MANAGED_FILTER_UNMANAGED: 'MANAGED_FILTER_UNMANAGED',
} as const;

export type ManagedFilter =
  | 'MANAGED_FILTER_UNSPECIFIED'
  | 0
  | 'MANAGED_FILTER_MANAGED'
  | 1
  | 'MANAGED_FILTER_UNMANAGED'
  | 2

export type ManagedFilter__Output = typeof ManagedFilter[keyof typeof ManagedFilter]
