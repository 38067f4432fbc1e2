// Original file: proto/socle/v1/guest.proto


export interface SyncGuestTimeResponse {
}

export interface SyncGuestTimeResponse__Output {
}
