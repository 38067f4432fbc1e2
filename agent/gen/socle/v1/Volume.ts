// Original file: proto/socle/v1/storage.proto

import type { DiskFormat as _socle_v1_DiskFormat, DiskFormat__Output as _socle_v1_DiskFormat__Output } from '../../socle/v1/DiskFormat.ts';
import type { VolumeRole as _socle_v1_VolumeRole, VolumeRole__Output as _socle_v1_VolumeRole__Output } from '../../socle/v1/VolumeRole.ts';
import type { Long } from '@grpc/proto-loader';

export interface Volume {
  'pool'?: (string);
  'name'?: (string);
  'format'?: (_socle_v1_DiskFormat);
  'capacityBytes'?: (number | string | Long);
  'allocatedBytes'?: (number | string | Long);
  'vmId'?: (string);
  'users'?: (string)[];
  'role'?: (_socle_v1_VolumeRole);
  'problem'?: (string);
  'tenant'?: (string);
  '_capacityBytes'?: "capacityBytes";
  '_allocatedBytes'?: "allocatedBytes";
}

export interface Volume__Output {
  'pool': (string);
  'name': (string);
  'format': (_socle_v1_DiskFormat__Output);
  'capacityBytes'?: (number);
  'allocatedBytes'?: (number);
  'vmId': (string);
  'users': (string)[];
  'role': (_socle_v1_VolumeRole__Output);
  'problem': (string);
  'tenant': (string);
  '_capacityBytes'?: "capacityBytes";
  '_allocatedBytes'?: "allocatedBytes";
}
