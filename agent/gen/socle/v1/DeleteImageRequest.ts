// Original file: proto/socle/v1/image.proto


export interface DeleteImageRequest {
  'requestId'?: (string);
  'image'?: (string);
  'tenant'?: (string);
}

export interface DeleteImageRequest__Output {
  'requestId': (string);
  'image': (string);
  'tenant': (string);
}
