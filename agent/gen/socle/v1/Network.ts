// Original file: proto/socle/v1/host.proto

import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from '../../socle/v1/Observation.ts';

export interface Network {
  'name'?: (string);
  'bridge'?: (string);
  'active'?: (boolean);
  'observation'?: (_socle_v1_Observation | null);
}

export interface Network__Output {
  'name': (string);
  'bridge': (string);
  'active': (boolean);
  'observation': (_socle_v1_Observation__Output | null);
}
