// Original file: proto/socle/v1/vm.proto

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.ts';

export interface UnrescueVmRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'validateOnly'?: (boolean);
  'force'?: (boolean);
  'gracefulTimeout'?: (_google_protobuf_Duration | null);
}

export interface UnrescueVmRequest__Output {
  'requestId': (string);
  'vm': (string);
  'validateOnly': (boolean);
  'force': (boolean);
  'gracefulTimeout': (_google_protobuf_Duration__Output | null);
}
