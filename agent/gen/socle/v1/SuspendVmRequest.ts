// Original file: proto/socle/v1/vm.proto


export interface SuspendVmRequest {
  'requestId'?: (string);
  'vm'?: (string);
}

export interface SuspendVmRequest__Output {
  'requestId': (string);
  'vm': (string);
}
