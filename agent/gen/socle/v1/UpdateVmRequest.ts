// Original file: proto/socle/v1/vm.proto

import type { VmSpec as _socle_v1_VmSpec, VmSpec__Output as _socle_v1_VmSpec__Output } from '../../socle/v1/VmSpec.ts';
import type { FieldMask as _google_protobuf_FieldMask, FieldMask__Output as _google_protobuf_FieldMask__Output } from '../../google/protobuf/FieldMask.ts';

export interface UpdateVmRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'spec'?: (_socle_v1_VmSpec | null);
  'updateMask'?: (_google_protobuf_FieldMask | null);
}

export interface UpdateVmRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'spec': (_socle_v1_VmSpec__Output | null);
  'updateMask': (_google_protobuf_FieldMask__Output | null);
}
