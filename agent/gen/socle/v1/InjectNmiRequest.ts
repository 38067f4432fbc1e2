// Original file: proto/socle/v1/vm.proto


export interface InjectNmiRequest {
  'requestId'?: (string);
  'vm'?: (string);
}

export interface InjectNmiRequest__Output {
  'requestId': (string);
  'vm': (string);
}
