// Original file: proto/socle/v1/host.proto


export interface VirtualFunctions {
  'max'?: (number);
  'enabled'?: (number);
}

export interface VirtualFunctions__Output {
  'max': (number);
  'enabled': (number);
}
