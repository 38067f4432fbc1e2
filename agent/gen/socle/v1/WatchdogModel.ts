// Original file: proto/socle/v1/vm.proto

export const WatchdogModel = {
  WATCHDOG_MODEL_UNSPECIFIED: 'WATCHDOG_MODEL_UNSPECIFIED',
  WATCHDOG_MODEL_I6300ESB: 'WATCHDOG_MODEL_I6300ESB',
  WATCHDOG_MODEL_ITCO: 'WATCHDOG_MODEL_ITCO',
} as const;

export type WatchdogModel =
  | 'WATCHDOG_MODEL_UNSPECIFIED'
  | 0
  | 'WATCHDOG_MODEL_I6300ESB'
  | 1
  | 'WATCHDOG_MODEL_ITCO'
  | 2

export type WatchdogModel__Output = typeof WatchdogModel[keyof typeof WatchdogModel]
