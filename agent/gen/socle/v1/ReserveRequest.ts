// Original file: proto/socle/v1/reservation.proto

import type { Accelerator as _socle_v1_Accelerator, Accelerator__Output as _socle_v1_Accelerator__Output } from '../../socle/v1/Accelerator.ts';
import type { PlacementWish as _socle_v1_PlacementWish, PlacementWish__Output as _socle_v1_PlacementWish__Output } from '../../socle/v1/PlacementWish.ts';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.ts';
import type { Long } from '@grpc/proto-loader';

export interface ReserveRequest {
  'requestId'?: (string);
  'vcpus'?: (number);
  'memoryBytes'?: (number | string | Long);
  'accelerator'?: (_socle_v1_Accelerator);
  'tenant'?: (string);
  'wish'?: (_socle_v1_PlacementWish | null);
  'ttl'?: (_google_protobuf_Duration | null);
}

export interface ReserveRequest__Output {
  'requestId': (string);
  'vcpus': (number);
  'memoryBytes': (number);
  'accelerator': (_socle_v1_Accelerator__Output);
  'tenant': (string);
  'wish': (_socle_v1_PlacementWish__Output | null);
  'ttl': (_google_protobuf_Duration__Output | null);
}
