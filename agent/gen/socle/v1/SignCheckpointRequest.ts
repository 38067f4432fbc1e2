// Original file: proto/socle/v1/audit.proto


export interface SignCheckpointRequest {
}

export interface SignCheckpointRequest__Output {
}
