// Original file: proto/socle/v1/scheduler.proto

import type { Long } from '@grpc/proto-loader';

export interface ReportResponse {
  'digest'?: (string);
  'generation'?: (number | string | Long);
}

export interface ReportResponse__Output {
  'digest': (string);
  'generation': (number);
}
