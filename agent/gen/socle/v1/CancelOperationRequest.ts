// Original file: proto/socle/v1/operation.proto


export interface CancelOperationRequest {
  'operationId'?: (string);
}

export interface CancelOperationRequest__Output {
  'operationId': (string);
}
