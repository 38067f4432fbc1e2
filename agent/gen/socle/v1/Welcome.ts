// Original file: proto/socle/v1/scheduler.proto

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.ts';
import type { Long } from '@grpc/proto-loader';

export interface Welcome {
  'knownDigest'?: (string);
  'knownGeneration'?: (number | string | Long);
  'knownEventSequence'?: (number | string | Long);
  'heartbeatInterval'?: (_google_protobuf_Duration | null);
  'reconnectSpread'?: (_google_protobuf_Duration | null);
  'controlEpoch'?: (number | string | Long);
  'knownAgentEpoch'?: (number | string | Long);
  'knownEventLogId'?: (string);
}

export interface Welcome__Output {
  'knownDigest': (string);
  'knownGeneration': (number);
  'knownEventSequence': (number);
  'heartbeatInterval': (_google_protobuf_Duration__Output | null);
  'reconnectSpread': (_google_protobuf_Duration__Output | null);
  'controlEpoch': (number);
  'knownAgentEpoch': (number);
  'knownEventLogId': (string);
}
