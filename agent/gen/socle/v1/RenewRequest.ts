// Original file: proto/socle/v1/enrollment.proto


export interface RenewRequest {
  'certificate'?: (Buffer | Uint8Array | string);
  'certificateRequest'?: (Buffer | Uint8Array | string);
  'proof'?: (Buffer | Uint8Array | string);
}

export interface RenewRequest__Output {
  'certificate': (Buffer);
  'certificateRequest': (Buffer);
  'proof': (Buffer);
}
