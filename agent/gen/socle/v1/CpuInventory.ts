// Original file: proto/socle/v1/host.proto

import type { Long } from '@grpc/proto-loader';

export interface CpuInventory {
  'architecture'?: (string);
  'vendor'?: (string);
  'model'?: (string);
  'sockets'?: (number);
  'cores'?: (number);
  'threads'?: (number);
  'maxFrequencyHertz'?: (number | string | Long);
  '_maxFrequencyHertz'?: "maxFrequencyHertz";
}

export interface CpuInventory__Output {
  'architecture': (string);
  'vendor': (string);
  'model': (string);
  'sockets': (number);
  'cores': (number);
  'threads': (number);
  'maxFrequencyHertz'?: (number);
  '_maxFrequencyHertz'?: "maxFrequencyHertz";
}
