// Original file: proto/socle/v1/image.proto


export interface GetImageRequest {
  'image'?: (string);
  'tenant'?: (string);
}

export interface GetImageRequest__Output {
  'image': (string);
  'tenant': (string);
}
