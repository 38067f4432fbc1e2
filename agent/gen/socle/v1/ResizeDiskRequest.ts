// Original file: proto/socle/v1/vm.proto

import type { Long } from '@grpc/proto-loader';

export interface ResizeDiskRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'disk'?: (string);
  'capacityBytes'?: (number | string | Long);
}

export interface ResizeDiskRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'disk': (string);
  'capacityBytes': (number);
}
