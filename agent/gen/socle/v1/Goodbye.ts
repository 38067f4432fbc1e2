// Original file: proto/socle/v1/scheduler.proto

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.ts';

export interface Goodbye {
  'reason'?: (string);
  'expectedDowntime'?: (_google_protobuf_Duration | null);
}

export interface Goodbye__Output {
  'reason': (string);
  'expectedDowntime': (_google_protobuf_Duration__Output | null);
}
