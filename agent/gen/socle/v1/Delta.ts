// Original file: proto/socle/v1/scheduler.proto

import type { Host as _socle_v1_Host, Host__Output as _socle_v1_Host__Output } from '../../socle/v1/Host.ts';
import type { Vm as _socle_v1_Vm, Vm__Output as _socle_v1_Vm__Output } from '../../socle/v1/Vm.ts';
import type { Long } from '@grpc/proto-loader';

export interface Delta {
  'baseGeneration'?: (number | string | Long);
  'generation'?: (number | string | Long);
  'host'?: (_socle_v1_Host | null);
  'changedVms'?: (_socle_v1_Vm)[];
  'removedVmIds'?: (string)[];
  'digest'?: (string);
}

export interface Delta__Output {
  'baseGeneration': (number);
  'generation': (number);
  'host': (_socle_v1_Host__Output | null);
  'changedVms': (_socle_v1_Vm__Output)[];
  'removedVmIds': (string)[];
  'digest': (string);
}
