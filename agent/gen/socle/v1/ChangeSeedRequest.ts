// Original file: proto/socle/v1/vm.proto

import type { CloudInit as _socle_v1_CloudInit, CloudInit__Output as _socle_v1_CloudInit__Output } from '../../socle/v1/CloudInit.ts';
import type { FieldMask as _google_protobuf_FieldMask, FieldMask__Output as _google_protobuf_FieldMask__Output } from '../../google/protobuf/FieldMask.ts';

export interface ChangeSeedRequest {
  'requestId'?: (string);
  'vm'?: (string);
  'etag'?: (string);
  'validateOnly'?: (boolean);
  'cloudInit'?: (_socle_v1_CloudInit | null);
  'updateMask'?: (_google_protobuf_FieldMask | null);
  'newInstanceId'?: (boolean);
}

export interface ChangeSeedRequest__Output {
  'requestId': (string);
  'vm': (string);
  'etag': (string);
  'validateOnly': (boolean);
  'cloudInit': (_socle_v1_CloudInit__Output | null);
  'updateMask': (_google_protobuf_FieldMask__Output | null);
  'newInstanceId': (boolean);
}
