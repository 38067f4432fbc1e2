// Original file: proto/socle/v1/vm.proto

import type { Long } from '@grpc/proto-loader';

export interface StartVmRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'placementEpoch'?: (number | string | Long);
}

export interface StartVmRequest__Output {
  'requestId': (string);
  'vm': (string);
  'placementEpoch': (number);
}
