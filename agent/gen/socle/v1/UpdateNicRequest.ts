// Original file: proto/socle/v1/vm.proto

import type { NicLink as _socle_v1_NicLink, NicLink__Output as _socle_v1_NicLink__Output } from '../../socle/v1/NicLink.ts';
import type { NicLimits as _socle_v1_NicLimits, NicLimits__Output as _socle_v1_NicLimits__Output } from '../../socle/v1/NicLimits.ts';

export interface UpdateNicRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'nic'?: (string);
  'linkState'?: (_socle_v1_NicLink);
  'limits'?: (_socle_v1_NicLimits | null);
}

export interface UpdateNicRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'nic': (string);
  'linkState': (_socle_v1_NicLink__Output);
  'limits': (_socle_v1_NicLimits__Output | null);
}
