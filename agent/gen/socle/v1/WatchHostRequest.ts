// Original file: proto/socle/v1/host.proto


export interface WatchHostRequest {
}

export interface WatchHostRequest__Output {
}
