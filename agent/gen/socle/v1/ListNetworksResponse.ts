// Original file: proto/socle/v1/network.proto

import type { VirtualNetwork as _socle_v1_VirtualNetwork, VirtualNetwork__Output as _socle_v1_VirtualNetwork__Output } from '../../socle/v1/VirtualNetwork.ts';
import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from '../../socle/v1/Observation.ts';

export interface ListNetworksResponse {
  'networks'?: (_socle_v1_VirtualNetwork)[];
  'nextPageToken'?: (string);
  'totalSize'?: (number);
  'observation'?: (_socle_v1_Observation | null);
}

export interface ListNetworksResponse__Output {
  'networks': (_socle_v1_VirtualNetwork__Output)[];
  'nextPageToken': (string);
  'totalSize': (number);
  'observation': (_socle_v1_Observation__Output | null);
}
