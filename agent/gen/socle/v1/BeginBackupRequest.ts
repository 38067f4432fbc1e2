// Original file: proto/socle/v1/backup.proto

import type { Long } from '@grpc/proto-loader';

export interface BeginBackupRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'disks'?: (string)[];
  'baseBackup'?: (string);
  'quiesce'?: (boolean);
  'leaseSeconds'?: (number);
  'scratchBytes'?: (number | string | Long);
  'nbdTls'?: (boolean);
  'allowEncrypted'?: (boolean);
}

export interface BeginBackupRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'disks': (string)[];
  'baseBackup': (string);
  'quiesce': (boolean);
  'leaseSeconds': (number);
  'scratchBytes': (number);
  'nbdTls': (boolean);
  'allowEncrypted': (boolean);
}
