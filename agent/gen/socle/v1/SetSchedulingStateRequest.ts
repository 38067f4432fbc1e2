// Original file: proto/socle/v1/host.proto

import type { LifecycleState as _socle_v1_LifecycleState, LifecycleState__Output as _socle_v1_LifecycleState__Output } from '../../socle/v1/LifecycleState.ts';

export interface SetSchedulingStateRequest {
  'requestId'?: (string);
  'state'?: (_socle_v1_LifecycleState);
  'reason'?: (string);
}

export interface SetSchedulingStateRequest__Output {
  'requestId': (string);
  'state': (_socle_v1_LifecycleState__Output);
  'reason': (string);
}
