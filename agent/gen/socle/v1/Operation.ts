// Original file: proto/socle/v1/operation.proto

import type { Status as _google_rpc_Status, Status__Output as _google_rpc_Status__Output } from '../../google/rpc/Status.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';
import type { Long } from '@grpc/proto-loader';

// Original file: proto/socle/v1/operation.proto

export const _socle_v1_Operation_State = {
  STATE_UNSPECIFIED: 'STATE_UNSPECIFIED',
  STATE_RUNNING: 'STATE_RUNNING',
  STATE_SUCCEEDED: 'STATE_SUCCEEDED',
  STATE_FAILED: 'STATE_FAILED',
  STATE_CANCELLED: 'STATE_CANCELLED',
  STATE_OUTCOME_UNKNOWN: 'STATE_OUTCOME_UNKNOWN',
} as const;

export type _socle_v1_Operation_State =
  | 'STATE_UNSPECIFIED'
  | 0
  | 'STATE_RUNNING'
  | 1
  | 'STATE_SUCCEEDED'
  | 2
  | 'STATE_FAILED'
  | 3
  | 'STATE_CANCELLED'
  | 4
  | 'STATE_OUTCOME_UNKNOWN'
  | 5

export type _socle_v1_Operation_State__Output = typeof _socle_v1_Operation_State[keyof typeof _socle_v1_Operation_State]

export interface _socle_v1_Operation_Step {
  'name'?: (string);
  'startedAt'?: (_google_protobuf_Timestamp | null);
  'endedAt'?: (_google_protobuf_Timestamp | null);
  'outcome'?: (string);
}

export interface _socle_v1_Operation_Step__Output {
  'name': (string);
  'startedAt': (_google_protobuf_Timestamp__Output | null);
  'endedAt': (_google_protobuf_Timestamp__Output | null);
  'outcome': (string);
}

export interface _socle_v1_Operation_Transfer {
  'doneBytes'?: (number | string | Long);
  'totalBytes'?: (number | string | Long);
  'bytesPerSecond'?: (number | string);
}

export interface _socle_v1_Operation_Transfer__Output {
  'doneBytes': (number);
  'totalBytes': (number);
  'bytesPerSecond': (number);
}

export interface Operation {
  'operationId'?: (string);
  'requestId'?: (string);
  'kind'?: (string);
  'vmId'?: (string);
  'caller'?: (string);
  'state'?: (_socle_v1_Operation_State);
  'done'?: (boolean);
  'steps'?: (_socle_v1_Operation_Step)[];
  'progress'?: (number | string);
  'error'?: (_google_rpc_Status | null);
  'createdAt'?: (_google_protobuf_Timestamp | null);
  'endedAt'?: (_google_protobuf_Timestamp | null);
  'result'?: ({[key: string]: string});
  'cancelledBy'?: (string);
  'person'?: (string);
  'ticket'?: (string);
  'breakGlass'?: (string);
  'instance'?: (string);
  'endDecided'?: (boolean);
  'imageId'?: (string);
  'volume'?: (string);
  'transfer'?: (_socle_v1_Operation_Transfer | null);
}

export interface Operation__Output {
  'operationId': (string);
  'requestId': (string);
  'kind': (string);
  'vmId': (string);
  'caller': (string);
  'state': (_socle_v1_Operation_State__Output);
  'done': (boolean);
  'steps': (_socle_v1_Operation_Step__Output)[];
  'progress': (number);
  'error': (_google_rpc_Status__Output | null);
  'createdAt': (_google_protobuf_Timestamp__Output | null);
  'endedAt': (_google_protobuf_Timestamp__Output | null);
  'result': ({[key: string]: string});
  'cancelledBy': (string);
  'person': (string);
  'ticket': (string);
  'breakGlass': (string);
  'instance': (string);
  'endDecided': (boolean);
  'imageId': (string);
  'volume': (string);
  'transfer': (_socle_v1_Operation_Transfer__Output | null);
}
