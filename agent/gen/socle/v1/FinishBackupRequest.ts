// Original file: proto/socle/v1/backup.proto


export interface FinishBackupRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'backupId'?: (string);
  'success'?: (boolean);
}

export interface FinishBackupRequest__Output {
  'requestId': (string);
  'vm': (string);
  'backupId': (string);
  'success': (boolean);
}
