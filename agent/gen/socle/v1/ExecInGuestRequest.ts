// Original file: proto/socle/v1/guest.proto

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.ts';

export interface ExecInGuestRequest {
  'vm'?: (string);
  'path'?: (string);
  'arguments'?: (string)[];
  'environment'?: (string)[];
  'input'?: (Buffer | Uint8Array | string);
  'timeout'?: (_google_protobuf_Duration | null);
}

export interface ExecInGuestRequest__Output {
  'vm': (string);
  'path': (string);
  'arguments': (string)[];
  'environment': (string)[];
  'input': (Buffer);
  'timeout': (_google_protobuf_Duration__Output | null);
}
