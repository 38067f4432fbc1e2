// Original file: proto/socle/v1/backup.proto


export interface ListBackupsRequest {
  'vm'?: (string);
  'onlyOpen'?: (boolean);
  'pageSize'?: (number);
  'pageToken'?: (string);
}

export interface ListBackupsRequest__Output {
  'vm': (string);
  'onlyOpen': (boolean);
  'pageSize': (number);
  'pageToken': (string);
}
