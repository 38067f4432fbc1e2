// Original file: proto/socle/v1/vm.proto


export interface Nic {
  'name'?: (string);
  'network'?: (string);
  'bridge'?: (string);
  'mac'?: (string);
  'allowSpoofing'?: (boolean);
  'allowedAddresses'?: (string)[];
  'source'?: "network"|"bridge";
}

export interface Nic__Output {
  'name': (string);
  'network'?: (string);
  'bridge'?: (string);
  'mac': (string);
  'allowSpoofing': (boolean);
  'allowedAddresses': (string)[];
  'source'?: "network"|"bridge";
}
