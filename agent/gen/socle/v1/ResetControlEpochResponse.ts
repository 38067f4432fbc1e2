// Original file: proto/socle/v1/host.proto

import type { Long } from '@grpc/proto-loader';

export interface ResetControlEpochResponse {
  'controlEpoch'?: (number | string | Long);
  'previousControlEpoch'?: (number | string | Long);
}

export interface ResetControlEpochResponse__Output {
  'controlEpoch': (number);
  'previousControlEpoch': (number);
}
