// Original file: proto/socle/v1/scheduler.proto

import type { Effect as _socle_v1_Effect, Effect__Output as _socle_v1_Effect__Output } from '../../socle/v1/Effect.ts';
import type { Long } from '@grpc/proto-loader';

export interface Heartbeat {
  'agentEpoch'?: (number | string | Long);
  'heartbeatSequence'?: (number | string | Long);
  'generation'?: (number | string | Long);
  'digest'?: (string);
  'health'?: (_socle_v1_Effect);
}

export interface Heartbeat__Output {
  'agentEpoch': (number);
  'heartbeatSequence': (number);
  'generation': (number);
  'digest': (string);
  'health': (_socle_v1_Effect__Output);
}
