// Original file: proto/socle/v1/guest.proto


export interface TrimGuestRequest {
  'vm'?: (string);
}

export interface TrimGuestRequest__Output {
  'vm': (string);
}
