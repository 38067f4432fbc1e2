// Original file: proto/socle/v1/vm.proto

import type { VolumeReference as _socle_v1_VolumeReference, VolumeReference__Output as _socle_v1_VolumeReference__Output } from '../../socle/v1/VolumeReference.ts';

export interface ChangeMediaRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'disk'?: (string);
  'volume'?: (_socle_v1_VolumeReference | null);
  'image'?: (string);
  'force'?: (boolean);
  'medium'?: "volume"|"image";
}

export interface ChangeMediaRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'disk': (string);
  'volume'?: (_socle_v1_VolumeReference__Output | null);
  'image'?: (string);
  'force': (boolean);
  'medium'?: "volume"|"image";
}
