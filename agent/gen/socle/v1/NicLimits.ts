// Original file: proto/socle/v1/vm.proto

import type { Long } from '@grpc/proto-loader';

export interface NicLimits {
  'inboundBytesPerSecond'?: (number | string | Long);
  'outboundBytesPerSecond'?: (number | string | Long);
  'inboundBurstBytes'?: (number | string | Long);
  'outboundBurstBytes'?: (number | string | Long);
  '_inboundBytesPerSecond'?: "inboundBytesPerSecond";
  '_outboundBytesPerSecond'?: "outboundBytesPerSecond";
  '_inboundBurstBytes'?: "inboundBurstBytes";
  '_outboundBurstBytes'?: "outboundBurstBytes";
}

export interface NicLimits__Output {
  'inboundBytesPerSecond'?: (number);
  'outboundBytesPerSecond'?: (number);
  'inboundBurstBytes'?: (number);
  'outboundBurstBytes'?: (number);
  '_inboundBytesPerSecond'?: "inboundBytesPerSecond";
  '_outboundBytesPerSecond'?: "outboundBytesPerSecond";
  '_inboundBurstBytes'?: "inboundBurstBytes";
  '_outboundBurstBytes'?: "outboundBurstBytes";
}
