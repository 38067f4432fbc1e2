// Original file: proto/socle/v1/vm.proto


export interface PauseVmRequest {
  'requestId'?: (string);
  'vm'?: (string);
}

export interface PauseVmRequest__Output {
  'requestId': (string);
  'vm': (string);
}
