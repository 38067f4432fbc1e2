// Original file: proto/socle/v1/event.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';
import type { EventKind as _socle_v1_EventKind, EventKind__Output as _socle_v1_EventKind__Output } from '../../socle/v1/EventKind.ts';
import type { VmState as _socle_v1_VmState, VmState__Output as _socle_v1_VmState__Output } from '../../socle/v1/VmState.ts';
import type { Long } from '@grpc/proto-loader';

export interface Event {
  'sequence'?: (number | string | Long);
  'agentEpoch'?: (number | string | Long);
  'time'?: (_google_protobuf_Timestamp | null);
  'kind'?: (_socle_v1_EventKind);
  'vmId'?: (string);
  'vmName'?: (string);
  'vmState'?: (_socle_v1_VmState);
  'reason'?: (string);
  'details'?: ({[key: string]: string});
  'logId'?: (string);
}

export interface Event__Output {
  'sequence': (number);
  'agentEpoch': (number);
  'time': (_google_protobuf_Timestamp__Output | null);
  'kind': (_socle_v1_EventKind__Output);
  'vmId': (string);
  'vmName': (string);
  'vmState': (_socle_v1_VmState__Output);
  'reason': (string);
  'details': ({[key: string]: string});
  'logId': (string);
}
