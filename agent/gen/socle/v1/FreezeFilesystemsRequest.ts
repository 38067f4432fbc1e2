// Original file: proto/socle/v1/guest.proto

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.ts';

export interface FreezeFilesystemsRequest {
  'vm'?: (string);
  'timeout'?: (_google_protobuf_Duration | null);
}

export interface FreezeFilesystemsRequest__Output {
  'vm': (string);
  'timeout': (_google_protobuf_Duration__Output | null);
}
