// Original file: proto/socle/v1/vm.proto

import type { NicAddress as _socle_v1_NicAddress, NicAddress__Output as _socle_v1_NicAddress__Output } from '../../socle/v1/NicAddress.ts';

export interface NicStatus {
  'name'?: (string);
  'mac'?: (string);
  'device'?: (string);
  'addresses'?: (_socle_v1_NicAddress)[];
}

export interface NicStatus__Output {
  'name': (string);
  'mac': (string);
  'device': (string);
  'addresses': (_socle_v1_NicAddress__Output)[];
}
