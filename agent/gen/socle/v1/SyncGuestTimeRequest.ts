// Original file: proto/socle/v1/guest.proto


export interface SyncGuestTimeRequest {
  'vm'?: (string);
}

export interface SyncGuestTimeRequest__Output {
  'vm': (string);
}
