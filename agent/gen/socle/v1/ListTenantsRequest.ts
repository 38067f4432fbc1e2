// Original file: proto/socle/v1/host.proto


export interface ListTenantsRequest {
}

export interface ListTenantsRequest__Output {
}
