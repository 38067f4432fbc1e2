// Original file: proto/socle/v1/backup.proto

import type { Long } from '@grpc/proto-loader';

export interface RestoreDiskRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'disk'?: (string);
  'sha256'?: (string);
  'sizeBytes'?: (number | string | Long);
  'content'?: (Buffer | Uint8Array | string);
  'moreDisks'?: (string)[];
}

export interface RestoreDiskRequest__Output {
  'requestId': (string);
  'vm': (string);
  'disk': (string);
  'sha256': (string);
  'sizeBytes': (number);
  'content': (Buffer);
  'moreDisks': (string)[];
}
