// Original file: proto/socle/v1/vm.proto

import type { DiskLimits as _socle_v1_DiskLimits, DiskLimits__Output as _socle_v1_DiskLimits__Output } from '../../socle/v1/DiskLimits.ts';

export interface UpdateDiskRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'disk'?: (string);
  'limits'?: (_socle_v1_DiskLimits | null);
}

export interface UpdateDiskRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'disk': (string);
  'limits': (_socle_v1_DiskLimits__Output | null);
}
