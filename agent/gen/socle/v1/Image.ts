// Original file: proto/socle/v1/image.proto

import type { DiskFormat as _socle_v1_DiskFormat, DiskFormat__Output as _socle_v1_DiskFormat__Output } from '../../socle/v1/DiskFormat.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';
import type { Long } from '@grpc/proto-loader';

export interface Image {
  'imageId'?: (string);
  'name'?: (string);
  'tenant'?: (string);
  'sha256'?: (string);
  'format'?: (_socle_v1_DiskFormat);
  'sizeBytes'?: (number | string | Long);
  'capacityBytes'?: (number | string | Long);
  'pool'?: (string);
  'volume'?: (string);
  'createdAt'?: (_google_protobuf_Timestamp | null);
  'usedAt'?: (_google_protobuf_Timestamp | null);
  'users'?: (number);
}

export interface Image__Output {
  'imageId': (string);
  'name': (string);
  'tenant': (string);
  'sha256': (string);
  'format': (_socle_v1_DiskFormat__Output);
  'sizeBytes': (number);
  'capacityBytes': (number);
  'pool': (string);
  'volume': (string);
  'createdAt': (_google_protobuf_Timestamp__Output | null);
  'usedAt': (_google_protobuf_Timestamp__Output | null);
  'users': (number);
}
