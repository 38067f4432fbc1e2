// Original file: proto/socle/v1/backup.proto


export interface GetBackupRequest {
  'vm'?: (string);
  'backupId'?: (string);
}

export interface GetBackupRequest__Output {
  'vm': (string);
  'backupId': (string);
}
