// Original file: proto/socle/v1/enrollment.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';

export interface TrustState {
  'trustDomain'?: (string);
  'identity'?: (string);
  'serial'?: (string);
  'notBefore'?: (_google_protobuf_Timestamp | null);
  'notAfter'?: (_google_protobuf_Timestamp | null);
  'renewsAt'?: (_google_protobuf_Timestamp | null);
  'revoked'?: (number);
  'problem'?: (string);
  'authorityFingerprints'?: (string)[];
  'revocationsExpireAt'?: (_google_protobuf_Timestamp | null);
  'insecureListen'?: (string);
}

export interface TrustState__Output {
  'trustDomain': (string);
  'identity': (string);
  'serial': (string);
  'notBefore': (_google_protobuf_Timestamp__Output | null);
  'notAfter': (_google_protobuf_Timestamp__Output | null);
  'renewsAt': (_google_protobuf_Timestamp__Output | null);
  'revoked': (number);
  'problem': (string);
  'authorityFingerprints': (string)[];
  'revocationsExpireAt': (_google_protobuf_Timestamp__Output | null);
  'insecureListen': (string);
}
