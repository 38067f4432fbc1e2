// Original file: proto/socle/v1/guest.proto


export interface SetGuestPasswordResponse {
}

export interface SetGuestPasswordResponse__Output {
}
