// Original file: proto/socle/v1/storage.proto

import type { DiskFormat as _socle_v1_DiskFormat, DiskFormat__Output as _socle_v1_DiskFormat__Output } from '../../socle/v1/DiskFormat.ts';
import type { Long } from '@grpc/proto-loader';

export interface CreateVolumeRequest {
  'requestId'?: (string);
  'pool'?: (string);
  'name'?: (string);
  'capacityBytes'?: (number | string | Long);
  'format'?: (_socle_v1_DiskFormat);
  'tenant'?: (string);
  'validateOnly'?: (boolean);
}

export interface CreateVolumeRequest__Output {
  'requestId': (string);
  'pool': (string);
  'name': (string);
  'capacityBytes': (number);
  'format': (_socle_v1_DiskFormat__Output);
  'tenant': (string);
  'validateOnly': (boolean);
}
