// Original file: proto/socle/v1/storage.proto


export interface ListVolumesRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
  'pool'?: (string);
}

export interface ListVolumesRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
  'pool': (string);
}
