// Original file: proto/socle/v1/vm.proto

import type { DumpFormat as _socle_v1_DumpFormat, DumpFormat__Output as _socle_v1_DumpFormat__Output } from '../../socle/v1/DumpFormat.ts';

export interface DumpMemoryRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'validateOnly'?: (boolean);
  'format'?: (_socle_v1_DumpFormat);
  'allowEncrypted'?: (boolean);
}

export interface DumpMemoryRequest__Output {
  'requestId': (string);
  'vm': (string);
  'validateOnly': (boolean);
  'format': (_socle_v1_DumpFormat__Output);
  'allowEncrypted': (boolean);
}
