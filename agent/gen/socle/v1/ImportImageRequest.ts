// Original file: proto/socle/v1/image.proto

import type { DiskFormat as _socle_v1_DiskFormat, DiskFormat__Output as _socle_v1_DiskFormat__Output } from '../../socle/v1/DiskFormat.ts';
import type { VolumeReference as _socle_v1_VolumeReference, VolumeReference__Output as _socle_v1_VolumeReference__Output } from '../../socle/v1/VolumeReference.ts';

export interface ImportImageRequest {
  'requestId'?: (string);
  'url'?: (string);
  'sha256'?: (string);
  'name'?: (string);
  'format'?: (_socle_v1_DiskFormat);
  'tenant'?: (string);
  'pool'?: (string);
  'volume'?: (_socle_v1_VolumeReference | null);
}

export interface ImportImageRequest__Output {
  'requestId': (string);
  'url': (string);
  'sha256': (string);
  'name': (string);
  'format': (_socle_v1_DiskFormat__Output);
  'tenant': (string);
  'pool': (string);
  'volume': (_socle_v1_VolumeReference__Output | null);
}
