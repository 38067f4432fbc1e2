// Original file: proto/socle/v1/vm.proto

import type { CellPolicy as _socle_v1_CellPolicy, CellPolicy__Output as _socle_v1_CellPolicy__Output } from '../../socle/v1/CellPolicy.ts';
import type { Long } from '@grpc/proto-loader';

export interface PlacementRequest {
  'dedicatedCpus'?: (boolean);
  'cellPolicy'?: (_socle_v1_CellPolicy);
  'cell'?: (number);
  'pageSizeBytes'?: (number | string | Long);
  'isolatedEmulator'?: (boolean);
  'devices'?: (string)[];
  '_cell'?: "cell";
}

export interface PlacementRequest__Output {
  'dedicatedCpus': (boolean);
  'cellPolicy': (_socle_v1_CellPolicy__Output);
  'cell'?: (number);
  'pageSizeBytes': (number);
  'isolatedEmulator': (boolean);
  'devices': (string)[];
  '_cell'?: "cell";
}
