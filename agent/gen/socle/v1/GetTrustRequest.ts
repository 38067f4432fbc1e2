// Original file: proto/socle/v1/enrollment.proto


export interface GetTrustRequest {
}

export interface GetTrustRequest__Output {
}
