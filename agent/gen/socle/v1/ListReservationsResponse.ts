// Original file: proto/socle/v1/reservation.proto

import type { Reservation as _socle_v1_Reservation, Reservation__Output as _socle_v1_Reservation__Output } from '../../socle/v1/Reservation.ts';

export interface ListReservationsResponse {
  'reservations'?: (_socle_v1_Reservation)[];
  'nextPageToken'?: (string);
  'totalSize'?: (number);
}

export interface ListReservationsResponse__Output {
  'reservations': (_socle_v1_Reservation__Output)[];
  'nextPageToken': (string);
  'totalSize': (number);
}
