// Original file: proto/socle/v1/operation.proto


export interface ListOperationsRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
  'vmId'?: (string);
  'onlyRunning'?: (boolean);
}

export interface ListOperationsRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
  'vmId': (string);
  'onlyRunning': (boolean);
}
