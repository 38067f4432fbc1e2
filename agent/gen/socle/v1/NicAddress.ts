// Original file: proto/socle/v1/vm.proto

import type { NicAddressSource as _socle_v1_NicAddressSource, NicAddressSource__Output as _socle_v1_NicAddressSource__Output } from '../../socle/v1/NicAddressSource.ts';

export interface NicAddress {
  'address'?: (string);
  'prefixLength'?: (number);
  'source'?: (_socle_v1_NicAddressSource);
}

export interface NicAddress__Output {
  'address': (string);
  'prefixLength': (number);
  'source': (_socle_v1_NicAddressSource__Output);
}
