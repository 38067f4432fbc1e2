// Original file: proto/socle/v1/image.proto


export interface ListImagesRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
  'tenant'?: (string);
}

export interface ListImagesRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
  'tenant': (string);
}
