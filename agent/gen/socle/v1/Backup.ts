// Original file: proto/socle/v1/backup.proto

import type { BackupState as _socle_v1_BackupState, BackupState__Output as _socle_v1_BackupState__Output } from '../../socle/v1/BackupState.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';
import type { BackupDisk as _socle_v1_BackupDisk, BackupDisk__Output as _socle_v1_BackupDisk__Output } from '../../socle/v1/BackupDisk.ts';
import type { Long } from '@grpc/proto-loader';

export interface Backup {
  'backupId'?: (string);
  'vmId'?: (string);
  'state'?: (_socle_v1_BackupState);
  'createdAt'?: (_google_protobuf_Timestamp | null);
  'baseBackup'?: (string);
  'disks'?: (_socle_v1_BackupDisk)[];
  'quiesced'?: (boolean);
  'leaseExpiresAt'?: (_google_protobuf_Timestamp | null);
  'scratchBytes'?: (number | string | Long);
  'scratchUsedBytes'?: (number | string | Long);
  'nbdUri'?: (string);
}

export interface Backup__Output {
  'backupId': (string);
  'vmId': (string);
  'state': (_socle_v1_BackupState__Output);
  'createdAt': (_google_protobuf_Timestamp__Output | null);
  'baseBackup': (string);
  'disks': (_socle_v1_BackupDisk__Output)[];
  'quiesced': (boolean);
  'leaseExpiresAt': (_google_protobuf_Timestamp__Output | null);
  'scratchBytes': (number);
  'scratchUsedBytes': (number);
  'nbdUri': (string);
}
