// Original file: proto/socle/v1/vm.proto


export interface GetVmRequest {
  'vm'?: (string);
}

export interface GetVmRequest__Output {
  'vm': (string);
}
