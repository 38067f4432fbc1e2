// Original file: proto/socle/v1/operation.proto

import type { Operation as _socle_v1_Operation, Operation__Output as _socle_v1_Operation__Output } from '../../socle/v1/Operation.ts';

export interface ListOperationsResponse {
  'operations'?: (_socle_v1_Operation)[];
  'nextPageToken'?: (string);
}

export interface ListOperationsResponse__Output {
  'operations': (_socle_v1_Operation__Output)[];
  'nextPageToken': (string);
}
