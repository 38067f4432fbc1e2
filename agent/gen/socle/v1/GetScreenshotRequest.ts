// Original file: proto/socle/v1/screen.proto


export interface GetScreenshotRequest {
  'vm'?: (string);
  'screen'?: (number);
}

export interface GetScreenshotRequest__Output {
  'vm': (string);
  'screen': (number);
}
