// Original file: proto/socle/v1/backup.proto


export interface RenewBackupRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'backupId'?: (string);
  'leaseSeconds'?: (number);
}

export interface RenewBackupRequest__Output {
  'requestId': (string);
  'vm': (string);
  'backupId': (string);
  'leaseSeconds': (number);
}
