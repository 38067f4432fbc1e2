// Original file: proto/socle/v1/storage.proto


export interface ListPoolsRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
}

export interface ListPoolsRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
}
