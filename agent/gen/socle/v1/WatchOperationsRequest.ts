// Original file: proto/socle/v1/operation.proto


export interface WatchOperationsRequest {
  'operationId'?: (string);
}

export interface WatchOperationsRequest__Output {
  'operationId': (string);
}
