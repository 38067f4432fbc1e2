// Original file: proto/socle/v1/storage.proto

import type { Volume as _socle_v1_Volume, Volume__Output as _socle_v1_Volume__Output } from '../../socle/v1/Volume.ts';
import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from '../../socle/v1/Observation.ts';

export interface ListVolumesResponse {
  'volumes'?: (_socle_v1_Volume)[];
  'nextPageToken'?: (string);
  'totalSize'?: (number);
  'observation'?: (_socle_v1_Observation | null);
  'incompletePools'?: (string)[];
}

export interface ListVolumesResponse__Output {
  'volumes': (_socle_v1_Volume__Output)[];
  'nextPageToken': (string);
  'totalSize': (number);
  'observation': (_socle_v1_Observation__Output | null);
  'incompletePools': (string)[];
}
