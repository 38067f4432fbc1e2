// Original file: proto/socle/v1/storage.proto


export interface DeleteVolumeRequest {
  'requestId'?: (string);
  'pool'?: (string);
  'volume'?: (string);
  'erase'?: (boolean);
  'validateOnly'?: (boolean);
}

export interface DeleteVolumeRequest__Output {
  'requestId': (string);
  'pool': (string);
  'volume': (string);
  'erase': (boolean);
  'validateOnly': (boolean);
}
