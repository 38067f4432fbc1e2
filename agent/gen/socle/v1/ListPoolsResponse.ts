// Original file: proto/socle/v1/storage.proto

import type { Pool as _socle_v1_Pool, Pool__Output as _socle_v1_Pool__Output } from '../../socle/v1/Pool.ts';
import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from '../../socle/v1/Observation.ts';

export interface ListPoolsResponse {
  'pools'?: (_socle_v1_Pool)[];
  'nextPageToken'?: (string);
  'totalSize'?: (number);
  'observation'?: (_socle_v1_Observation | null);
}

export interface ListPoolsResponse__Output {
  'pools': (_socle_v1_Pool__Output)[];
  'nextPageToken': (string);
  'totalSize': (number);
  'observation': (_socle_v1_Observation__Output | null);
}
