// Original file: proto/socle/v1/host.proto

import type { Long } from '@grpc/proto-loader';

export interface CacheGroup {
  'level'?: (number);
  'sizeBytes'?: (number | string | Long);
  'cpus'?: (number)[];
  '_sizeBytes'?: "sizeBytes";
}

export interface CacheGroup__Output {
  'level': (number);
  'sizeBytes'?: (number);
  'cpus': (number)[];
  '_sizeBytes'?: "sizeBytes";
}
