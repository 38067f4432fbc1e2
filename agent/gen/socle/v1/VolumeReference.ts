// Original file: proto/socle/v1/vm.proto


export interface VolumeReference {
  'pool'?: (string);
  'volume'?: (string);
}

export interface VolumeReference__Output {
  'pool': (string);
  'volume': (string);
}
