// Original file: proto/socle/v1/host.proto


export interface AcknowledgeConditionRequest {
  'requestId'?: (string);
  'type'?: (string);
}

export interface AcknowledgeConditionRequest__Output {
  'requestId': (string);
  'type': (string);
}
