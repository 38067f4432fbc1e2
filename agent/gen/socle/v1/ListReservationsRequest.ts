// Original file: proto/socle/v1/reservation.proto


export interface ListReservationsRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
  'includeEnded'?: (boolean);
}

export interface ListReservationsRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
  'includeEnded': (boolean);
}
