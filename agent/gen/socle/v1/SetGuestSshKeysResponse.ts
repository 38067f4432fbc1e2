// Original file: proto/socle/v1/guest.proto


export interface SetGuestSshKeysResponse {
}

export interface SetGuestSshKeysResponse__Output {
}
