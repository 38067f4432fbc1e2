// Original file: proto/socle/v1/vm.proto

import type { Vm as _socle_v1_Vm, Vm__Output as _socle_v1_Vm__Output } from '../../socle/v1/Vm.ts';
import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from '../../socle/v1/Observation.ts';

export interface ListVmsResponse {
  'vms'?: (_socle_v1_Vm)[];
  'nextPageToken'?: (string);
  'totalSize'?: (number);
  'etag'?: (string);
  'notModified'?: (boolean);
  'observation'?: (_socle_v1_Observation | null);
  'specUnreadable'?: (number);
}

export interface ListVmsResponse__Output {
  'vms': (_socle_v1_Vm__Output)[];
  'nextPageToken': (string);
  'totalSize': (number);
  'etag': (string);
  'notModified': (boolean);
  'observation': (_socle_v1_Observation__Output | null);
  'specUnreadable': (number);
}
