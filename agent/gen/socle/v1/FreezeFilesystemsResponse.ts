// Original file: proto/socle/v1/guest.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';

export interface FreezeFilesystemsResponse {
  'filesystems'?: (number);
  'frozenUntil'?: (_google_protobuf_Timestamp | null);
}

export interface FreezeFilesystemsResponse__Output {
  'filesystems': (number);
  'frozenUntil': (_google_protobuf_Timestamp__Output | null);
}
