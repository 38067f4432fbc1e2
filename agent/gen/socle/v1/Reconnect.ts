// Original file: proto/socle/v1/scheduler.proto

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.ts';

export interface Reconnect {
  'delay'?: (_google_protobuf_Duration | null);
  'address'?: (string);
}

export interface Reconnect__Output {
  'delay': (_google_protobuf_Duration__Output | null);
  'address': (string);
}
