// Original file: proto/socle/v1/reservation.proto


export interface ReleaseReservationRequest {
  'requestId'?: (string);
  'reservationId'?: (string);
}

export interface ReleaseReservationRequest__Output {
  'requestId': (string);
  'reservationId': (string);
}
