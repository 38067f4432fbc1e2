// Original file: proto/socle/v1/host.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';
import type { Long } from '@grpc/proto-loader';

export interface HostUsage {
  'readAt'?: (_google_protobuf_Timestamp | null);
  'cpuBusyRatio'?: (number | string);
  'memoryTotalBytes'?: (number | string | Long);
  'memoryAvailableBytes'?: (number | string | Long);
  '_cpuBusyRatio'?: "cpuBusyRatio";
  '_memoryTotalBytes'?: "memoryTotalBytes";
  '_memoryAvailableBytes'?: "memoryAvailableBytes";
}

export interface HostUsage__Output {
  'readAt': (_google_protobuf_Timestamp__Output | null);
  'cpuBusyRatio'?: (number);
  'memoryTotalBytes'?: (number);
  'memoryAvailableBytes'?: (number);
  '_cpuBusyRatio'?: "cpuBusyRatio";
  '_memoryTotalBytes'?: "memoryTotalBytes";
  '_memoryAvailableBytes'?: "memoryAvailableBytes";
}
