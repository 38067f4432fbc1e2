// Original file: proto/socle/v1/vm.proto


export interface RebootVmRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'force'?: (boolean);
}

export interface RebootVmRequest__Output {
  'requestId': (string);
  'vm': (string);
  'force': (boolean);
}
