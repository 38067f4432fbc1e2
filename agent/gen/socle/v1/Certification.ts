// Original file: proto/socle/v1/enrollment.proto


export interface Certification {
  'certificateChain'?: (string);
  'authorities'?: (string);
  'revocationLists'?: (string);
}

export interface Certification__Output {
  'certificateChain': (string);
  'authorities': (string);
  'revocationLists': (string);
}
