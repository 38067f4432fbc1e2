// Original file: proto/socle/v1/vm.proto

import type { VolumeReference as _socle_v1_VolumeReference, VolumeReference__Output as _socle_v1_VolumeReference__Output } from '../../socle/v1/VolumeReference.ts';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.ts';

export interface RescueVmRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'image'?: (string);
  'volume'?: (_socle_v1_VolumeReference | null);
  'force'?: (boolean);
  'gracefulTimeout'?: (_google_protobuf_Duration | null);
  'source'?: "image"|"volume";
}

export interface RescueVmRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'image'?: (string);
  'volume'?: (_socle_v1_VolumeReference__Output | null);
  'force': (boolean);
  'gracefulTimeout': (_google_protobuf_Duration__Output | null);
  'source'?: "image"|"volume";
}
