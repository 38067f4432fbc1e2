// Original file: proto/socle/v1/backup.proto

import type { Backup as _socle_v1_Backup, Backup__Output as _socle_v1_Backup__Output } from '../../socle/v1/Backup.ts';

export interface ListBackupsResponse {
  'backups'?: (_socle_v1_Backup)[];
  'nextPageToken'?: (string);
}

export interface ListBackupsResponse__Output {
  'backups': (_socle_v1_Backup__Output)[];
  'nextPageToken': (string);
}
