// Original file: proto/socle/v1/vm.proto

import type { VmState as _socle_v1_VmState, VmState__Output as _socle_v1_VmState__Output } from '../../socle/v1/VmState.ts';
import type { ManagedFilter as _socle_v1_ManagedFilter, ManagedFilter__Output as _socle_v1_ManagedFilter__Output } from '../../socle/v1/ManagedFilter.ts';

export interface VmFilter {
  'tenant'?: (string);
  'states'?: (_socle_v1_VmState)[];
  'labels'?: ({[key: string]: string});
  'managed'?: (_socle_v1_ManagedFilter);
  'namePrefix'?: (string);
}

export interface VmFilter__Output {
  'tenant': (string);
  'states': (_socle_v1_VmState__Output)[];
  'labels': ({[key: string]: string});
  'managed': (_socle_v1_ManagedFilter__Output);
  'namePrefix': (string);
}
