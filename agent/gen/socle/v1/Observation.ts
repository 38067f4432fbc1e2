// Original file: proto/socle/v1/common.proto

import type { Presence as _socle_v1_Presence, Presence__Output as _socle_v1_Presence__Output } from '../../socle/v1/Presence.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';

export interface Observation {
  'presence'?: (_socle_v1_Presence);
  'observedAt'?: (_google_protobuf_Timestamp | null);
}

export interface Observation__Output {
  'presence': (_socle_v1_Presence__Output);
  'observedAt': (_google_protobuf_Timestamp__Output | null);
}
