// Original file: proto/socle/v1/reservation.proto

import type { Accelerator as _socle_v1_Accelerator, Accelerator__Output as _socle_v1_Accelerator__Output } from '../../socle/v1/Accelerator.ts';
import type { PlacementRequest as _socle_v1_PlacementRequest, PlacementRequest__Output as _socle_v1_PlacementRequest__Output } from '../../socle/v1/PlacementRequest.ts';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.ts';
import type { Long } from '@grpc/proto-loader';

export interface ReserveRequest {
  'requestId'?: (string);
  'vcpus'?: (number);
  'memoryBytes'?: (number | string | Long);
  'accelerator'?: (_socle_v1_Accelerator);
  'tenant'?: (string);
  'placementRequest'?: (_socle_v1_PlacementRequest | null);
  'ttl'?: (_google_protobuf_Duration | null);
}

export interface ReserveRequest__Output {
  'requestId': (string);
  'vcpus': (number);
  'memoryBytes': (number);
  'accelerator': (_socle_v1_Accelerator__Output);
  'tenant': (string);
  'placementRequest': (_socle_v1_PlacementRequest__Output | null);
  'ttl': (_google_protobuf_Duration__Output | null);
}
