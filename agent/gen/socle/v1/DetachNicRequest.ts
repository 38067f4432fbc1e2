// Original file: proto/socle/v1/vm.proto


export interface DetachNicRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'nic'?: (string);
}

export interface DetachNicRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'nic': (string);
}
