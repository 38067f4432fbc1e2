// Original file: proto/socle/v1/backup.proto


export interface ListBackupsRequest {
  'vm'?: (string);
}

export interface ListBackupsRequest__Output {
  'vm': (string);
}
