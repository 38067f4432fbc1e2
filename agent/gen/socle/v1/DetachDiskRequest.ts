// Original file: proto/socle/v1/vm.proto


export interface DetachDiskRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'disk'?: (string);
  'deleteVolume'?: (boolean);
}

export interface DetachDiskRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'disk': (string);
  'deleteVolume': (boolean);
}
