// Original file: proto/socle/v1/host.proto

import type { Effect as _socle_v1_Effect, Effect__Output as _socle_v1_Effect__Output } from '../../socle/v1/Effect.ts';
import type { Condition as _socle_v1_Condition, Condition__Output as _socle_v1_Condition__Output } from '../../socle/v1/Condition.ts';
import type { Truth as _socle_v1_Truth, Truth__Output as _socle_v1_Truth__Output } from '../../socle/v1/Truth.ts';

export interface Health {
  'state'?: (_socle_v1_Effect);
  'conditions'?: (_socle_v1_Condition)[];
  'alive'?: (_socle_v1_Truth);
  'schedulable'?: (_socle_v1_Truth);
  'safeToFence'?: (_socle_v1_Truth);
  'blockingConditions'?: (string)[];
}

export interface Health__Output {
  'state': (_socle_v1_Effect__Output);
  'conditions': (_socle_v1_Condition__Output)[];
  'alive': (_socle_v1_Truth__Output);
  'schedulable': (_socle_v1_Truth__Output);
  'safeToFence': (_socle_v1_Truth__Output);
  'blockingConditions': (string)[];
}
