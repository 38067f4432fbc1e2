// Original file: proto/socle/v1/backup.proto

import type { Long } from '@grpc/proto-loader';

export interface BackupDisk {
  'disk'?: (string);
  'capacityBytes'?: (number | string | Long);
  'incremental'?: (boolean);
  'fullReason'?: (string);
  'nbdExport'?: (string);
  'nbdBitmap'?: (string);
}

export interface BackupDisk__Output {
  'disk': (string);
  'capacityBytes': (number);
  'incremental': (boolean);
  'fullReason': (string);
  'nbdExport': (string);
  'nbdBitmap': (string);
}
