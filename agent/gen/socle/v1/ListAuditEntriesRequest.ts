// Original file: proto/socle/v1/audit.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';
import type { Long } from '@grpc/proto-loader';

export interface ListAuditEntriesRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
  'afterSequence'?: (number | string | Long);
  'tenant'?: (string);
  'vm'?: (string);
  'since'?: (_google_protobuf_Timestamp | null);
  'until'?: (_google_protobuf_Timestamp | null);
}

export interface ListAuditEntriesRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
  'afterSequence': (number);
  'tenant': (string);
  'vm': (string);
  'since': (_google_protobuf_Timestamp__Output | null);
  'until': (_google_protobuf_Timestamp__Output | null);
}
