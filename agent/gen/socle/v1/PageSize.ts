// Original file: proto/socle/v1/host.proto

import type { Long } from '@grpc/proto-loader';

export interface PageSize {
  'sizeBytes'?: (number | string | Long);
  'total'?: (number | string | Long);
  'free'?: (number | string | Long);
  '_free'?: "free";
}

export interface PageSize__Output {
  'sizeBytes': (number);
  'total': (number);
  'free'?: (number);
  '_free'?: "free";
}
