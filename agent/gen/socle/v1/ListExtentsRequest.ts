// Original file: proto/socle/v1/backup.proto

import type { Long } from '@grpc/proto-loader';

export interface ListExtentsRequest {
  'vm'?: (string);
  'backupId'?: (string);
  'disk'?: (string);
  'offsetBytes'?: (number | string | Long);
}

export interface ListExtentsRequest__Output {
  'vm': (string);
  'backupId': (string);
  'disk': (string);
  'offsetBytes': (number);
}
