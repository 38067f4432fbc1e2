// Original file: proto/socle/v1/screen.proto


export interface OpenScreenRequest {
  'vm'?: (string);
  'ticket'?: (string);
  'data'?: (Buffer | Uint8Array | string);
}

export interface OpenScreenRequest__Output {
  'vm': (string);
  'ticket': (string);
  'data': (Buffer);
}
