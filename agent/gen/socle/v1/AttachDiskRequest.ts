// Original file: proto/socle/v1/vm.proto

import type { Disk as _socle_v1_Disk, Disk__Output as _socle_v1_Disk__Output } from '../../socle/v1/Disk.ts';

export interface AttachDiskRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'disk'?: (_socle_v1_Disk | null);
}

export interface AttachDiskRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'disk': (_socle_v1_Disk__Output | null);
}
