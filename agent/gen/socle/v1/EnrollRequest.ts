// Original file: proto/socle/v1/enrollment.proto


export interface EnrollRequest {
  'token'?: (string);
  'hostId'?: (string);
  'hostname'?: (string);
  'certificateRequest'?: (Buffer | Uint8Array | string);
}

export interface EnrollRequest__Output {
  'token': (string);
  'hostId': (string);
  'hostname': (string);
  'certificateRequest': (Buffer);
}
