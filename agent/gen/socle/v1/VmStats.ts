// Original file: proto/socle/v1/vm.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';
import type { VmRates as _socle_v1_VmRates, VmRates__Output as _socle_v1_VmRates__Output } from '../../socle/v1/VmRates.ts';
import type { Long } from '@grpc/proto-loader';

export interface VmStats {
  'sampledAt'?: (_google_protobuf_Timestamp | null);
  'cpuSeconds'?: (number | string);
  'memoryBalloonBytes'?: (number | string | Long);
  'memoryRssBytes'?: (number | string | Long);
  'unresponsive'?: (boolean);
  'rates'?: (_socle_v1_VmRates | null);
  '_cpuSeconds'?: "cpuSeconds";
  '_memoryBalloonBytes'?: "memoryBalloonBytes";
  '_memoryRssBytes'?: "memoryRssBytes";
}

export interface VmStats__Output {
  'sampledAt': (_google_protobuf_Timestamp__Output | null);
  'cpuSeconds'?: (number);
  'memoryBalloonBytes'?: (number);
  'memoryRssBytes'?: (number);
  'unresponsive': (boolean);
  'rates': (_socle_v1_VmRates__Output | null);
  '_cpuSeconds'?: "cpuSeconds";
  '_memoryBalloonBytes'?: "memoryBalloonBytes";
  '_memoryRssBytes'?: "memoryRssBytes";
}
