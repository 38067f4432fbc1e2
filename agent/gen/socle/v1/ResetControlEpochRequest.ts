// Original file: proto/socle/v1/host.proto

import type { Long } from '@grpc/proto-loader';

export interface ResetControlEpochRequest {
  'requestId'?: (string);
  'controlEpoch'?: (number | string | Long);
}

export interface ResetControlEpochRequest__Output {
  'requestId': (string);
  'controlEpoch': (number);
}
