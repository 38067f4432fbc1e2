// Original file: proto/socle/v1/vm.proto

import type { Long } from '@grpc/proto-loader';

export interface DiskLimits {
  'totalBytesPerSecond'?: (number | string | Long);
  'readBytesPerSecond'?: (number | string | Long);
  'writeBytesPerSecond'?: (number | string | Long);
  'totalIops'?: (number | string | Long);
  'readIops'?: (number | string | Long);
  'writeIops'?: (number | string | Long);
  '_totalBytesPerSecond'?: "totalBytesPerSecond";
  '_readBytesPerSecond'?: "readBytesPerSecond";
  '_writeBytesPerSecond'?: "writeBytesPerSecond";
  '_totalIops'?: "totalIops";
  '_readIops'?: "readIops";
  '_writeIops'?: "writeIops";
}

export interface DiskLimits__Output {
  'totalBytesPerSecond'?: (number);
  'readBytesPerSecond'?: (number);
  'writeBytesPerSecond'?: (number);
  'totalIops'?: (number);
  'readIops'?: (number);
  'writeIops'?: (number);
  '_totalBytesPerSecond'?: "totalBytesPerSecond";
  '_readBytesPerSecond'?: "readBytesPerSecond";
  '_writeBytesPerSecond'?: "writeBytesPerSecond";
  '_totalIops'?: "totalIops";
  '_readIops'?: "readIops";
  '_writeIops'?: "writeIops";
}
