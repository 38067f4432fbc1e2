// Original file: proto/socle/v1/host.proto

import type { Truth as _socle_v1_Truth, Truth__Output as _socle_v1_Truth__Output } from '../../socle/v1/Truth.ts';
import type { Effect as _socle_v1_Effect, Effect__Output as _socle_v1_Effect__Output } from '../../socle/v1/Effect.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';

export interface Condition {
  'type'?: (string);
  'status'?: (_socle_v1_Truth);
  'effect'?: (_socle_v1_Effect);
  'reason'?: (string);
  'evidence'?: (string);
  'since'?: (_google_protobuf_Timestamp | null);
  'lastProbe'?: (_google_protobuf_Timestamp | null);
  'latched'?: (boolean);
  'acknowledged'?: (boolean);
  'untilReboot'?: (boolean);
  'subjects'?: (string)[];
}

export interface Condition__Output {
  'type': (string);
  'status': (_socle_v1_Truth__Output);
  'effect': (_socle_v1_Effect__Output);
  'reason': (string);
  'evidence': (string);
  'since': (_google_protobuf_Timestamp__Output | null);
  'lastProbe': (_google_protobuf_Timestamp__Output | null);
  'latched': (boolean);
  'acknowledged': (boolean);
  'untilReboot': (boolean);
  'subjects': (string)[];
}
