// Original file: proto/socle/v1/vm.proto


export interface NewDumpVolume {
  'pool'?: (string);
  'name'?: (string);
}

export interface NewDumpVolume__Output {
  'pool': (string);
  'name': (string);
}
