// Original file: proto/socle/v1/vm.proto

import type { VmSpec as _socle_v1_VmSpec, VmSpec__Output as _socle_v1_VmSpec__Output } from '../../socle/v1/VmSpec.ts';
import type { Long } from '@grpc/proto-loader';

export interface CreateVmRequest {
  'requestId'?: (string);
  'spec'?: (_socle_v1_VmSpec | null);
  'leaveStopped'?: (boolean);
  'validateOnly'?: (boolean);
  'placementEpoch'?: (number | string | Long);
  'reservationId'?: (string);
}

export interface CreateVmRequest__Output {
  'requestId': (string);
  'spec': (_socle_v1_VmSpec__Output | null);
  'leaveStopped': (boolean);
  'validateOnly': (boolean);
  'placementEpoch': (number);
  'reservationId': (string);
}
