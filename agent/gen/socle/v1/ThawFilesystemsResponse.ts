// Original file: proto/socle/v1/guest.proto


export interface ThawFilesystemsResponse {
  'filesystems'?: (number);
}

export interface ThawFilesystemsResponse__Output {
  'filesystems': (number);
}
