// Original file: proto/socle/v1/backup.proto

import type { Long } from '@grpc/proto-loader';

export interface ReadExtentsRequest {
  'vm'?: (string);
  'backupId'?: (string);
  'disk'?: (string);
  'offsetBytes'?: (number | string | Long);
}

export interface ReadExtentsRequest__Output {
  'vm': (string);
  'backupId': (string);
  'disk': (string);
  'offsetBytes': (number);
}
