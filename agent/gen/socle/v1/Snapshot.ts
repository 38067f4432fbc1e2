// Original file: proto/socle/v1/snapshot.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';
import type { SnapshotState as _socle_v1_SnapshotState, SnapshotState__Output as _socle_v1_SnapshotState__Output } from '../../socle/v1/SnapshotState.ts';
import type { Long } from '@grpc/proto-loader';

export interface Snapshot {
  'id'?: (string);
  'name'?: (string);
  'description'?: (string);
  'parentId'?: (string);
  'createdAt'?: (_google_protobuf_Timestamp | null);
  'state'?: (_socle_v1_SnapshotState);
  'quiesced'?: (boolean);
  'current'?: (boolean);
  'disks'?: (string)[];
  'memoryBytes'?: (number | string | Long);
}

export interface Snapshot__Output {
  'id': (string);
  'name': (string);
  'description': (string);
  'parentId': (string);
  'createdAt': (_google_protobuf_Timestamp__Output | null);
  'state': (_socle_v1_SnapshotState__Output);
  'quiesced': (boolean);
  'current': (boolean);
  'disks': (string)[];
  'memoryBytes': (number);
}
