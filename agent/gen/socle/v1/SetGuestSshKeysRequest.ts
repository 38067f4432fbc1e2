// Original file: proto/socle/v1/guest.proto


export interface SetGuestSshKeysRequest {
  'vm'?: (string);
  'user'?: (string);
  'keys'?: (string)[];
  'replace'?: (boolean);
}

export interface SetGuestSshKeysRequest__Output {
  'vm': (string);
  'user': (string);
  'keys': (string)[];
  'replace': (boolean);
}
