// Original file: proto/socle/v1/common.proto

import type { Long } from '@grpc/proto-loader';

export interface Position {
  'bootId'?: (string);
  'agentEpoch'?: (number | string | Long);
  'generation'?: (number | string | Long);
  'eventSequence'?: (number | string | Long);
  'eventLogId'?: (string);
}

export interface Position__Output {
  'bootId': (string);
  'agentEpoch': (number);
  'generation': (number);
  'eventSequence': (number);
  'eventLogId': (string);
}
