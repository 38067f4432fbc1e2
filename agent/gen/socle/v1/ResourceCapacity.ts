// Original file: proto/socle/v1/host.proto

import type { Long } from '@grpc/proto-loader';

export interface ResourceCapacity {
  'resource'?: (string);
  'total'?: (number | string | Long);
  'reserved'?: (number | string | Long);
  'allocated'?: (number | string | Long);
  'claimed'?: (number | string | Long);
  'unhealthy'?: (number | string | Long);
  'overcommitRatio'?: (number | string);
  'available'?: (number | string | Long);
  'min'?: (number | string | Long);
  'max'?: (number | string | Long);
  'step'?: (number | string | Long);
  '_allocated'?: "allocated";
  '_available'?: "available";
}

export interface ResourceCapacity__Output {
  'resource': (string);
  'total': (number);
  'reserved': (number);
  'allocated'?: (number);
  'claimed': (number);
  'unhealthy': (number);
  'overcommitRatio': (number);
  'available'?: (number);
  'min': (number);
  'max': (number);
  'step': (number);
  '_allocated'?: "allocated";
  '_available'?: "available";
}
