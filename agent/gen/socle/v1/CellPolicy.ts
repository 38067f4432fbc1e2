// Original file: proto/socle/v1/vm.proto

export const CellPolicy = {
  CELL_POLICY_UNSPECIFIED: 'CELL_POLICY_UNSPECIFIED',
  CELL_POLICY_ANY: 'CELL_POLICY_ANY',
  CELL_POLICY_STRICT: 'CELL_POLICY_STRICT',
} as const;

export type CellPolicy =
  | 'CELL_POLICY_UNSPECIFIED'
  | 0
  | 'CELL_POLICY_ANY'
  | 1
  | 'CELL_POLICY_STRICT'
  | 2

export type CellPolicy__Output = typeof CellPolicy[keyof typeof CellPolicy]
