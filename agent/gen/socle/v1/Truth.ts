// Original file: proto/socle/v1/common.proto

export const Truth = {
  TRUTH_UNSPECIFIED: 'TRUTH_UNSPECIFIED',
  TRUTH_TRUE: 'TRUTH_TRUE',
  TRUTH_FALSE: 'TRUTH_FALSE',
  TRUTH_UNKNOWN: 'TRUTH_UNKNOWN',
} as const;

export type Truth =
  | 'TRUTH_UNSPECIFIED'
  | 0
  | 'TRUTH_TRUE'
  | 1
  | 'TRUTH_FALSE'
  | 2
  | 'TRUTH_UNKNOWN'
  | 3

export type Truth__Output = typeof Truth[keyof typeof Truth]
