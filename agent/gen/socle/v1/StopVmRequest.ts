// Original file: proto/socle/v1/vm.proto

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.ts';

export interface StopVmRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'gracefulTimeout'?: (_google_protobuf_Duration | null);
  'force'?: (boolean);
}

export interface StopVmRequest__Output {
  'requestId': (string);
  'vm': (string);
  'gracefulTimeout': (_google_protobuf_Duration__Output | null);
  'force': (boolean);
}
