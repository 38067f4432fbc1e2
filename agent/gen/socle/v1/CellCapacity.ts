// Original file: proto/socle/v1/host.proto

import type { ResourceCapacity as _socle_v1_ResourceCapacity, ResourceCapacity__Output as _socle_v1_ResourceCapacity__Output } from '../../socle/v1/ResourceCapacity.ts';

export interface CellCapacity {
  'cell'?: (number);
  'resources'?: (_socle_v1_ResourceCapacity)[];
}

export interface CellCapacity__Output {
  'cell': (number);
  'resources': (_socle_v1_ResourceCapacity__Output)[];
}
