// Original file: proto/socle/v1/host.proto


export interface GetHostRequest {
}

export interface GetHostRequest__Output {
}
