// Original file: proto/socle/v1/screen.proto


export interface OpenScreenResponse {
  'data'?: (Buffer | Uint8Array | string);
}

export interface OpenScreenResponse__Output {
  'data': (Buffer);
}
