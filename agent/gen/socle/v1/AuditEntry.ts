// Original file: proto/socle/v1/audit.proto

import type { Long } from '@grpc/proto-loader';

export interface AuditEntry {
  'sequence'?: (number | string | Long);
  'previousHash'?: (string);
  'hash'?: (string);
  'json'?: (string);
}

export interface AuditEntry__Output {
  'sequence': (number);
  'previousHash': (string);
  'hash': (string);
  'json': (string);
}
