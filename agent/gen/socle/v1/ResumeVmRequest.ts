// Original file: proto/socle/v1/vm.proto


export interface ResumeVmRequest {
  'requestId'?: (string);
  'vm'?: (string);
}

export interface ResumeVmRequest__Output {
  'requestId': (string);
  'vm': (string);
}
