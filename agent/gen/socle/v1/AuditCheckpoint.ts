// Original file: proto/socle/v1/audit.proto

import type { Long } from '@grpc/proto-loader';

export interface AuditCheckpoint {
  'sequence'?: (number | string | Long);
  'hash'?: (string);
  'time'?: (string);
  'key'?: (string);
  'signature'?: (string);
}

export interface AuditCheckpoint__Output {
  'sequence': (number);
  'hash': (string);
  'time': (string);
  'key': (string);
  'signature': (string);
}
