// Original file: proto/socle/v1/guest.proto


export interface GetGuestInfoRequest {
  'vm'?: (string);
}

export interface GetGuestInfoRequest__Output {
  'vm': (string);
}
