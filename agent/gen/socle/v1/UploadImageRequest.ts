// Original file: proto/socle/v1/image.proto

import type { DiskFormat as _socle_v1_DiskFormat, DiskFormat__Output as _socle_v1_DiskFormat__Output } from '../../socle/v1/DiskFormat.ts';
import type { Long } from '@grpc/proto-loader';

export interface UploadImageRequest {
  'requestId'?: (string);
  'sha256'?: (string);
  'name'?: (string);
  'format'?: (_socle_v1_DiskFormat);
  'tenant'?: (string);
  'pool'?: (string);
  'sizeBytes'?: (number | string | Long);
  'content'?: (Buffer | Uint8Array | string);
}

export interface UploadImageRequest__Output {
  'requestId': (string);
  'sha256': (string);
  'name': (string);
  'format': (_socle_v1_DiskFormat__Output);
  'tenant': (string);
  'pool': (string);
  'sizeBytes': (number);
  'content': (Buffer);
}
