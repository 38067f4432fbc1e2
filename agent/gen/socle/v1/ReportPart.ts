// Original file: proto/socle/v1/scheduler.proto

import type { Position as _socle_v1_Position, Position__Output as _socle_v1_Position__Output } from '../../socle/v1/Position.ts';
import type { Host as _socle_v1_Host, Host__Output as _socle_v1_Host__Output } from '../../socle/v1/Host.ts';
import type { Vm as _socle_v1_Vm, Vm__Output as _socle_v1_Vm__Output } from '../../socle/v1/Vm.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';

export interface ReportPart {
  'hostId'?: (string);
  'position'?: (_socle_v1_Position | null);
  'host'?: (_socle_v1_Host | null);
  'vms'?: (_socle_v1_Vm)[];
  'last'?: (boolean);
  'digest'?: (string);
  'takenAt'?: (_google_protobuf_Timestamp | null);
}

export interface ReportPart__Output {
  'hostId': (string);
  'position': (_socle_v1_Position__Output | null);
  'host': (_socle_v1_Host__Output | null);
  'vms': (_socle_v1_Vm__Output)[];
  'last': (boolean);
  'digest': (string);
  'takenAt': (_google_protobuf_Timestamp__Output | null);
}
