// Original file: proto/socle/v1/vm.proto


export interface DiscardSavedStateRequest {
  'requestId'?: (string);
  'vm'?: (string);
}

export interface DiscardSavedStateRequest__Output {
  'requestId': (string);
  'vm': (string);
}
