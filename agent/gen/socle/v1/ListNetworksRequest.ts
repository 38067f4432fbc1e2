// Original file: proto/socle/v1/network.proto


export interface ListNetworksRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
}

export interface ListNetworksRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
}
