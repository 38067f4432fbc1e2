// Original file: proto/socle/v1/reservation.proto

import type { Accelerator as _socle_v1_Accelerator, Accelerator__Output as _socle_v1_Accelerator__Output } from '../../socle/v1/Accelerator.ts';
import type { PlacementRequest as _socle_v1_PlacementRequest, PlacementRequest__Output as _socle_v1_PlacementRequest__Output } from '../../socle/v1/PlacementRequest.ts';
import type { Placement as _socle_v1_Placement, Placement__Output as _socle_v1_Placement__Output } from '../../socle/v1/Placement.ts';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';
import type { Long } from '@grpc/proto-loader';

// Original file: proto/socle/v1/reservation.proto

export const _socle_v1_Reservation_State = {
  STATE_UNSPECIFIED: 'STATE_UNSPECIFIED',
  STATE_HELD: 'STATE_HELD',
  STATE_CONSUMED: 'STATE_CONSUMED',
  STATE_RELEASED: 'STATE_RELEASED',
  STATE_EXPIRED: 'STATE_EXPIRED',
} as const;

export type _socle_v1_Reservation_State =
  | 'STATE_UNSPECIFIED'
  | 0
  | 'STATE_HELD'
  | 1
  | 'STATE_CONSUMED'
  | 2
  | 'STATE_RELEASED'
  | 3
  | 'STATE_EXPIRED'
  | 4

export type _socle_v1_Reservation_State__Output = typeof _socle_v1_Reservation_State[keyof typeof _socle_v1_Reservation_State]

export interface Reservation {
  'reservationId'?: (string);
  'caller'?: (string);
  'tenant'?: (string);
  'state'?: (_socle_v1_Reservation_State);
  'vcpus'?: (number);
  'memoryBytes'?: (number | string | Long);
  'accelerator'?: (_socle_v1_Accelerator);
  'placementRequest'?: (_socle_v1_PlacementRequest | null);
  'placement'?: (_socle_v1_Placement | null);
  'ttl'?: (_google_protobuf_Duration | null);
  'remaining'?: (_google_protobuf_Duration | null);
  'createdAt'?: (_google_protobuf_Timestamp | null);
  'endedAt'?: (_google_protobuf_Timestamp | null);
  'vmId'?: (string);
}

export interface Reservation__Output {
  'reservationId': (string);
  'caller': (string);
  'tenant': (string);
  'state': (_socle_v1_Reservation_State__Output);
  'vcpus': (number);
  'memoryBytes': (number);
  'accelerator': (_socle_v1_Accelerator__Output);
  'placementRequest': (_socle_v1_PlacementRequest__Output | null);
  'placement': (_socle_v1_Placement__Output | null);
  'ttl': (_google_protobuf_Duration__Output | null);
  'remaining': (_google_protobuf_Duration__Output | null);
  'createdAt': (_google_protobuf_Timestamp__Output | null);
  'endedAt': (_google_protobuf_Timestamp__Output | null);
  'vmId': (string);
}
