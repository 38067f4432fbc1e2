// Original file: proto/socle/v1/audit.proto

import type { AuditEntry as _socle_v1_AuditEntry, AuditEntry__Output as _socle_v1_AuditEntry__Output } from '../../socle/v1/AuditEntry.ts';
import type { Long } from '@grpc/proto-loader';

export interface ListAuditEntriesResponse {
  'entries'?: (_socle_v1_AuditEntry)[];
  'nextPageToken'?: (string);
  'oldestSequence'?: (number | string | Long);
  'newestSequence'?: (number | string | Long);
}

export interface ListAuditEntriesResponse__Output {
  'entries': (_socle_v1_AuditEntry__Output)[];
  'nextPageToken': (string);
  'oldestSequence': (number);
  'newestSequence': (number);
}
