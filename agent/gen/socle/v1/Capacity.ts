// Original file: proto/socle/v1/host.proto

import type { CellCapacity as _socle_v1_CellCapacity, CellCapacity__Output as _socle_v1_CellCapacity__Output } from '../../socle/v1/CellCapacity.ts';
import type { DeviceCapacity as _socle_v1_DeviceCapacity, DeviceCapacity__Output as _socle_v1_DeviceCapacity__Output } from '../../socle/v1/DeviceCapacity.ts';
import type { Long } from '@grpc/proto-loader';

export interface Capacity {
  'cells'?: (_socle_v1_CellCapacity)[];
  'generation'?: (number | string | Long);
  'dedicatedCpus'?: (number)[];
  'devices'?: (_socle_v1_DeviceCapacity)[];
  'complete'?: (boolean);
  'incompleteReasons'?: (string)[];
}

export interface Capacity__Output {
  'cells': (_socle_v1_CellCapacity__Output)[];
  'generation': (number);
  'dedicatedCpus': (number)[];
  'devices': (_socle_v1_DeviceCapacity__Output)[];
  'complete': (boolean);
  'incompleteReasons': (string)[];
}
