// Original file: proto/socle/v1/vm.proto


export interface DeleteVmRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'keepDisks'?: (boolean);
  'force'?: (boolean);
  'etag'?: (string);
  'eraseDisks'?: (boolean);
}

export interface DeleteVmRequest__Output {
  'requestId': (string);
  'vm': (string);
  'keepDisks': (boolean);
  'force': (boolean);
  'etag': (string);
  'eraseDisks': (boolean);
}
