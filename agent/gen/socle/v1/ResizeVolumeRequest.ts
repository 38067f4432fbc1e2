// Original file: proto/socle/v1/storage.proto

import type { Long } from '@grpc/proto-loader';

export interface ResizeVolumeRequest {
  'requestId'?: (string);
  'pool'?: (string);
  'volume'?: (string);
  'capacityBytes'?: (number | string | Long);
  'validateOnly'?: (boolean);
}

export interface ResizeVolumeRequest__Output {
  'requestId': (string);
  'pool': (string);
  'volume': (string);
  'capacityBytes': (number);
  'validateOnly': (boolean);
}
