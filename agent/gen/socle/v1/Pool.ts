// Original file: proto/socle/v1/storage.proto

import type { PoolState as _socle_v1_PoolState, PoolState__Output as _socle_v1_PoolState__Output } from '../../socle/v1/PoolState.ts';
import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from '../../socle/v1/Observation.ts';
import type { Long } from '@grpc/proto-loader';

export interface Pool {
  'name'?: (string);
  'state'?: (_socle_v1_PoolState);
  'observation'?: (_socle_v1_Observation | null);
  'type'?: (string);
  'capacityBytes'?: (number | string | Long);
  'allocatedBytes'?: (number | string | Long);
  'availableBytes'?: (number | string | Long);
  'thinRatio'?: (number | string);
  'sharedId'?: (string);
  'volumes'?: (number);
  'problem'?: (string);
  '_capacityBytes'?: "capacityBytes";
  '_allocatedBytes'?: "allocatedBytes";
  '_availableBytes'?: "availableBytes";
  '_thinRatio'?: "thinRatio";
  '_volumes'?: "volumes";
}

export interface Pool__Output {
  'name': (string);
  'state': (_socle_v1_PoolState__Output);
  'observation': (_socle_v1_Observation__Output | null);
  'type': (string);
  'capacityBytes'?: (number);
  'allocatedBytes'?: (number);
  'availableBytes'?: (number);
  'thinRatio'?: (number);
  'sharedId': (string);
  'volumes'?: (number);
  'problem': (string);
  '_capacityBytes'?: "capacityBytes";
  '_allocatedBytes'?: "allocatedBytes";
  '_availableBytes'?: "availableBytes";
  '_thinRatio'?: "thinRatio";
  '_volumes'?: "volumes";
}
