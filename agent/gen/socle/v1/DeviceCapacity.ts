// Original file: proto/socle/v1/host.proto

import type { DeviceState as _socle_v1_DeviceState, DeviceState__Output as _socle_v1_DeviceState__Output } from '../../socle/v1/DeviceState.ts';

export interface DeviceCapacity {
  'address'?: (string);
  'alias'?: (string);
  'cell'?: (number);
  'state'?: (_socle_v1_DeviceState);
  'holder'?: (string);
  'iommuGroup'?: (number);
  '_cell'?: "cell";
  '_iommuGroup'?: "iommuGroup";
}

export interface DeviceCapacity__Output {
  'address': (string);
  'alias': (string);
  'cell'?: (number);
  'state': (_socle_v1_DeviceState__Output);
  'holder': (string);
  'iommuGroup'?: (number);
  '_cell'?: "cell";
  '_iommuGroup'?: "iommuGroup";
}
