// Original file: proto/socle/v1/backup.proto

import type { Long } from '@grpc/proto-loader';

export interface Extent {
  'offsetBytes'?: (number | string | Long);
  'lengthBytes'?: (number | string | Long);
  'zero'?: (boolean);
}

export interface Extent__Output {
  'offsetBytes': (number);
  'lengthBytes': (number);
  'zero': (boolean);
}
