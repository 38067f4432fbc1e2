// Original file: proto/socle/v1/vm.proto

import type { Nic as _socle_v1_Nic, Nic__Output as _socle_v1_Nic__Output } from '../../socle/v1/Nic.ts';

export interface AttachNicRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'nic'?: (_socle_v1_Nic | null);
}

export interface AttachNicRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'nic': (_socle_v1_Nic__Output | null);
}
