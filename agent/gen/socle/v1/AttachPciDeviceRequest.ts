// Original file: proto/socle/v1/vm.proto


export interface AttachPciDeviceRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'device'?: (string);
}

export interface AttachPciDeviceRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'device': (string);
}
