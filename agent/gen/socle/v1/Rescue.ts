// Original file: proto/socle/v1/vm.proto

import type { VolumeReference as _socle_v1_VolumeReference, VolumeReference__Output as _socle_v1_VolumeReference__Output } from '../../socle/v1/VolumeReference.ts';

export interface Rescue {
  'running'?: (boolean);
  'baseVolume'?: (_socle_v1_VolumeReference | null);
  'startsAfter'?: (boolean);
}

export interface Rescue__Output {
  'running': (boolean);
  'baseVolume': (_socle_v1_VolumeReference__Output | null);
  'startsAfter': (boolean);
}
