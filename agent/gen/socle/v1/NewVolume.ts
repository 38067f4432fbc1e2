// Original file: proto/socle/v1/vm.proto

import type { DiskFormat as _socle_v1_DiskFormat, DiskFormat__Output as _socle_v1_DiskFormat__Output } from '../../socle/v1/DiskFormat.ts';
import type { VolumeEncryption as _socle_v1_VolumeEncryption, VolumeEncryption__Output as _socle_v1_VolumeEncryption__Output } from '../../socle/v1/VolumeEncryption.ts';
import type { Long } from '@grpc/proto-loader';

export interface NewVolume {
  'pool'?: (string);
  'capacityBytes'?: (number | string | Long);
  'format'?: (_socle_v1_DiskFormat);
  'baseVolume'?: (string);
  'encryption'?: (_socle_v1_VolumeEncryption);
  'image'?: (string);
}

export interface NewVolume__Output {
  'pool': (string);
  'capacityBytes': (number);
  'format': (_socle_v1_DiskFormat__Output);
  'baseVolume': (string);
  'encryption': (_socle_v1_VolumeEncryption__Output);
  'image': (string);
}
