// Original file: proto/socle/v1/vm.proto


export interface DetachPciDeviceRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'device'?: (string);
}

export interface DetachPciDeviceRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'device': (string);
}
