// Original file: proto/socle/v1/enrollment.proto


export interface EnrollHostRequest {
  'address'?: (string);
  'token'?: (string);
  'authorityFingerprint'?: (string);
}

export interface EnrollHostRequest__Output {
  'address': (string);
  'token': (string);
  'authorityFingerprint': (string);
}
