// Original file: proto/socle/v1/vm.proto

import type { Long } from '@grpc/proto-loader';

export interface Placement {
  'cells'?: (number)[];
  'vcpuCpus'?: (number)[];
  'sharedCpus'?: (number)[];
  'emulatorCpus'?: (number)[];
  'pageSizeBytes'?: (number | string | Long);
  'devices'?: (string)[];
}

export interface Placement__Output {
  'cells': (number)[];
  'vcpuCpus': (number)[];
  'sharedCpus': (number)[];
  'emulatorCpus': (number)[];
  'pageSizeBytes': (number);
  'devices': (string)[];
}
