// Original file: proto/socle/v1/guest.proto


export interface SetGuestPasswordRequest {
  'vm'?: (string);
  'user'?: (string);
  'password'?: (string);
  'hashed'?: (boolean);
}

export interface SetGuestPasswordRequest__Output {
  'vm': (string);
  'user': (string);
  'password': (string);
  'hashed': (boolean);
}
