// Original file: proto/socle/v1/vm.proto


export interface MoveDiskRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'disk'?: (string);
  'pool'?: (string);
}

export interface MoveDiskRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'disk': (string);
  'pool': (string);
}
