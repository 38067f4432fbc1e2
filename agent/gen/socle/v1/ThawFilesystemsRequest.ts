// Original file: proto/socle/v1/guest.proto


export interface ThawFilesystemsRequest {
  'vm'?: (string);
}

export interface ThawFilesystemsRequest__Output {
  'vm': (string);
}
