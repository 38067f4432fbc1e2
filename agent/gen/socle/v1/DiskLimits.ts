// Original file: proto/socle/v1/vm.proto

import type { Long } from '@grpc/proto-loader';

export interface DiskLimits {
  'totalBytesPerSecond'?: (number | string | Long);
  'readBytesPerSecond'?: (number | string | Long);
  'writeBytesPerSecond'?: (number | string | Long);
  'totalIops'?: (number | string | Long);
  'readIops'?: (number | string | Long);
  'writeIops'?: (number | string | Long);
  'totalBurstBytesPerSecond'?: (number | string | Long);
  'readBurstBytesPerSecond'?: (number | string | Long);
  'writeBurstBytesPerSecond'?: (number | string | Long);
  'totalBurstIops'?: (number | string | Long);
  'readBurstIops'?: (number | string | Long);
  'writeBurstIops'?: (number | string | Long);
  'burstSeconds'?: (number);
  '_totalBytesPerSecond'?: "totalBytesPerSecond";
  '_readBytesPerSecond'?: "readBytesPerSecond";
  '_writeBytesPerSecond'?: "writeBytesPerSecond";
  '_totalIops'?: "totalIops";
  '_readIops'?: "readIops";
  '_writeIops'?: "writeIops";
  '_totalBurstBytesPerSecond'?: "totalBurstBytesPerSecond";
  '_readBurstBytesPerSecond'?: "readBurstBytesPerSecond";
  '_writeBurstBytesPerSecond'?: "writeBurstBytesPerSecond";
  '_totalBurstIops'?: "totalBurstIops";
  '_readBurstIops'?: "readBurstIops";
  '_writeBurstIops'?: "writeBurstIops";
  '_burstSeconds'?: "burstSeconds";
}

export interface DiskLimits__Output {
  'totalBytesPerSecond'?: (number);
  'readBytesPerSecond'?: (number);
  'writeBytesPerSecond'?: (number);
  'totalIops'?: (number);
  'readIops'?: (number);
  'writeIops'?: (number);
  'totalBurstBytesPerSecond'?: (number);
  'readBurstBytesPerSecond'?: (number);
  'writeBurstBytesPerSecond'?: (number);
  'totalBurstIops'?: (number);
  'readBurstIops'?: (number);
  'writeBurstIops'?: (number);
  'burstSeconds'?: (number);
  '_totalBytesPerSecond'?: "totalBytesPerSecond";
  '_readBytesPerSecond'?: "readBytesPerSecond";
  '_writeBytesPerSecond'?: "writeBytesPerSecond";
  '_totalIops'?: "totalIops";
  '_readIops'?: "readIops";
  '_writeIops'?: "writeIops";
  '_totalBurstBytesPerSecond'?: "totalBurstBytesPerSecond";
  '_readBurstBytesPerSecond'?: "readBurstBytesPerSecond";
  '_writeBurstBytesPerSecond'?: "writeBurstBytesPerSecond";
  '_totalBurstIops'?: "totalBurstIops";
  '_readBurstIops'?: "readBurstIops";
  '_writeBurstIops'?: "writeBurstIops";
  '_burstSeconds'?: "burstSeconds";
}
