// Original file: proto/socle/v1/host.proto


export interface Network {
  'name'?: (string);
  'bridge'?: (string);
  'active'?: (boolean);
}

export interface Network__Output {
  'name': (string);
  'bridge': (string);
  'active': (boolean);
}
