// Original file: proto/socle/v1/vm.proto

import type { DumpFormat as _socle_v1_DumpFormat, DumpFormat__Output as _socle_v1_DumpFormat__Output } from '../../socle/v1/DumpFormat.ts';
import type { NewDumpVolume as _socle_v1_NewDumpVolume, NewDumpVolume__Output as _socle_v1_NewDumpVolume__Output } from '../../socle/v1/NewDumpVolume.ts';

export interface DumpMemoryRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'validateOnly'?: (boolean);
  'format'?: (_socle_v1_DumpFormat);
  'allowEncrypted'?: (boolean);
  'volume'?: (_socle_v1_NewDumpVolume | null);
}

export interface DumpMemoryRequest__Output {
  'requestId': (string);
  'vm': (string);
  'validateOnly': (boolean);
  'format': (_socle_v1_DumpFormat__Output);
  'allowEncrypted': (boolean);
  'volume': (_socle_v1_NewDumpVolume__Output | null);
}
