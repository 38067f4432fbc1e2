// Original file: proto/socle/v1/screen.proto


export interface GetScreenshotResponse {
  'png'?: (Buffer | Uint8Array | string);
}

export interface GetScreenshotResponse__Output {
  'png': (Buffer);
}
