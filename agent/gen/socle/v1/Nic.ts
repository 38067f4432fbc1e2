// Original file: proto/socle/v1/vm.proto

import type { NicLimits as _socle_v1_NicLimits, NicLimits__Output as _socle_v1_NicLimits__Output } from '../../socle/v1/NicLimits.ts';

export interface Nic {
  'name'?: (string);
  'network'?: (string);
  'bridge'?: (string);
  'mac'?: (string);
  'allowSpoofing'?: (boolean);
  'allowedAddresses'?: (string)[];
  'limits'?: (_socle_v1_NicLimits | null);
  'linkDown'?: (boolean);
  'source'?: "network"|"bridge";
}

export interface Nic__Output {
  'name': (string);
  'network'?: (string);
  'bridge'?: (string);
  'mac': (string);
  'allowSpoofing': (boolean);
  'allowedAddresses': (string)[];
  'limits': (_socle_v1_NicLimits__Output | null);
  'linkDown': (boolean);
  'source'?: "network"|"bridge";
}
