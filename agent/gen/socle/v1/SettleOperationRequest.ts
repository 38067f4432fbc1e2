// Original file: proto/socle/v1/operation.proto


// Original file: proto/socle/v1/operation.proto

export const _socle_v1_SettleOperationRequest_Outcome = {
  OUTCOME_UNSPECIFIED: 'OUTCOME_UNSPECIFIED',
  OUTCOME_DONE: 'OUTCOME_DONE',
  OUTCOME_NOT_DONE: 'OUTCOME_NOT_DONE',
} as const;

export type _socle_v1_SettleOperationRequest_Outcome =
  | 'OUTCOME_UNSPECIFIED'
  | 0
  | 'OUTCOME_DONE'
  | 1
  | 'OUTCOME_NOT_DONE'
  | 2

export type _socle_v1_SettleOperationRequest_Outcome__Output = typeof _socle_v1_SettleOperationRequest_Outcome[keyof typeof _socle_v1_SettleOperationRequest_Outcome]

export interface SettleOperationRequest {
  'operationId'?: (string);
  'outcome'?: (_socle_v1_SettleOperationRequest_Outcome);
}

export interface SettleOperationRequest__Output {
  'operationId': (string);
  'outcome': (_socle_v1_SettleOperationRequest_Outcome__Output);
}
