// Original file: proto/socle/v1/host.proto

import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from '../../socle/v1/Observation.ts';
import type { Long } from '@grpc/proto-loader';

export interface StoragePool {
  'name'?: (string);
  'type'?: (string);
  'active'?: (boolean);
  'observation'?: (_socle_v1_Observation | null);
  'capacityBytes'?: (number | string | Long);
  'allocatedBytes'?: (number | string | Long);
  'availableBytes'?: (number | string | Long);
  'sharedId'?: (string);
  'thinRatio'?: (number | string);
  'provisionedBytes'?: (number | string | Long);
  '_capacityBytes'?: "capacityBytes";
  '_allocatedBytes'?: "allocatedBytes";
  '_availableBytes'?: "availableBytes";
  '_provisionedBytes'?: "provisionedBytes";
}

export interface StoragePool__Output {
  'name': (string);
  'type': (string);
  'active': (boolean);
  'observation': (_socle_v1_Observation__Output | null);
  'capacityBytes'?: (number);
  'allocatedBytes'?: (number);
  'availableBytes'?: (number);
  'sharedId': (string);
  'thinRatio': (number);
  'provisionedBytes'?: (number);
  '_capacityBytes'?: "capacityBytes";
  '_allocatedBytes'?: "allocatedBytes";
  '_availableBytes'?: "availableBytes";
  '_provisionedBytes'?: "provisionedBytes";
}
