// Original file: proto/socle/v1/reservation.proto

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from '../../google/protobuf/Duration.ts';

export interface RenewReservationRequest {
  'requestId'?: (string);
  'reservationId'?: (string);
  'ttl'?: (_google_protobuf_Duration | null);
}

export interface RenewReservationRequest__Output {
  'requestId': (string);
  'reservationId': (string);
  'ttl': (_google_protobuf_Duration__Output | null);
}
