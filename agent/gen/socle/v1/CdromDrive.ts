// Original file: proto/socle/v1/vm.proto

import type { VolumeReference as _socle_v1_VolumeReference, VolumeReference__Output as _socle_v1_VolumeReference__Output } from '../../socle/v1/VolumeReference.ts';

export interface CdromDrive {
  'volume'?: (_socle_v1_VolumeReference | null);
  'image'?: (string);
  'medium'?: "volume"|"image";
}

export interface CdromDrive__Output {
  'volume'?: (_socle_v1_VolumeReference__Output | null);
  'image'?: (string);
  'medium'?: "volume"|"image";
}
