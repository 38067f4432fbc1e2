// Original file: proto/socle/v1/backup.proto

import type { Long } from '@grpc/proto-loader';

export interface ExtentData {
  'offsetBytes'?: (number | string | Long);
  'content'?: (Buffer | Uint8Array | string);
  'zeroBytes'?: (number | string | Long);
}

export interface ExtentData__Output {
  'offsetBytes': (number);
  'content': (Buffer);
  'zeroBytes': (number);
}
