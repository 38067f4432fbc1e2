// Original file: proto/socle/v1/reservation.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { GetReservationRequest as _socle_v1_GetReservationRequest, GetReservationRequest__Output as _socle_v1_GetReservationRequest__Output } from '../../socle/v1/GetReservationRequest.ts';
import type { ListReservationsRequest as _socle_v1_ListReservationsRequest, ListReservationsRequest__Output as _socle_v1_ListReservationsRequest__Output } from '../../socle/v1/ListReservationsRequest.ts';
import type { ListReservationsResponse as _socle_v1_ListReservationsResponse, ListReservationsResponse__Output as _socle_v1_ListReservationsResponse__Output } from '../../socle/v1/ListReservationsResponse.ts';
import type { ReleaseReservationRequest as _socle_v1_ReleaseReservationRequest, ReleaseReservationRequest__Output as _socle_v1_ReleaseReservationRequest__Output } from '../../socle/v1/ReleaseReservationRequest.ts';
import type { RenewReservationRequest as _socle_v1_RenewReservationRequest, RenewReservationRequest__Output as _socle_v1_RenewReservationRequest__Output } from '../../socle/v1/RenewReservationRequest.ts';
import type { Reservation as _socle_v1_Reservation, Reservation__Output as _socle_v1_Reservation__Output } from '../../socle/v1/Reservation.ts';
import type { ReserveRequest as _socle_v1_ReserveRequest, ReserveRequest__Output as _socle_v1_ReserveRequest__Output } from '../../socle/v1/ReserveRequest.ts';

export interface ReservationServiceClient extends grpc.Client {
  GetReservation(argument: _socle_v1_GetReservationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  GetReservation(argument: _socle_v1_GetReservationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  GetReservation(argument: _socle_v1_GetReservationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  GetReservation(argument: _socle_v1_GetReservationRequest, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  getReservation(argument: _socle_v1_GetReservationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  getReservation(argument: _socle_v1_GetReservationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  getReservation(argument: _socle_v1_GetReservationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  getReservation(argument: _socle_v1_GetReservationRequest, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  
  ListReservations(argument: _socle_v1_ListReservationsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  ListReservations(argument: _socle_v1_ListReservationsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  ListReservations(argument: _socle_v1_ListReservationsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  ListReservations(argument: _socle_v1_ListReservationsRequest, callback: grpc.requestCallback<_socle_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  listReservations(argument: _socle_v1_ListReservationsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  listReservations(argument: _socle_v1_ListReservationsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  listReservations(argument: _socle_v1_ListReservationsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  listReservations(argument: _socle_v1_ListReservationsRequest, callback: grpc.requestCallback<_socle_v1_ListReservationsResponse__Output>): grpc.ClientUnaryCall;
  
  ReleaseReservation(argument: _socle_v1_ReleaseReservationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  ReleaseReservation(argument: _socle_v1_ReleaseReservationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  ReleaseReservation(argument: _socle_v1_ReleaseReservationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  ReleaseReservation(argument: _socle_v1_ReleaseReservationRequest, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  releaseReservation(argument: _socle_v1_ReleaseReservationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  releaseReservation(argument: _socle_v1_ReleaseReservationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  releaseReservation(argument: _socle_v1_ReleaseReservationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  releaseReservation(argument: _socle_v1_ReleaseReservationRequest, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  
  RenewReservation(argument: _socle_v1_RenewReservationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  RenewReservation(argument: _socle_v1_RenewReservationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  RenewReservation(argument: _socle_v1_RenewReservationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  RenewReservation(argument: _socle_v1_RenewReservationRequest, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  renewReservation(argument: _socle_v1_RenewReservationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  renewReservation(argument: _socle_v1_RenewReservationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  renewReservation(argument: _socle_v1_RenewReservationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  renewReservation(argument: _socle_v1_RenewReservationRequest, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  
  Reserve(argument: _socle_v1_ReserveRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  Reserve(argument: _socle_v1_ReserveRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  Reserve(argument: _socle_v1_ReserveRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  Reserve(argument: _socle_v1_ReserveRequest, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  reserve(argument: _socle_v1_ReserveRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  reserve(argument: _socle_v1_ReserveRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  reserve(argument: _socle_v1_ReserveRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  reserve(argument: _socle_v1_ReserveRequest, callback: grpc.requestCallback<_socle_v1_Reservation__Output>): grpc.ClientUnaryCall;
  
}

export interface ReservationServiceHandlers extends grpc.UntypedServiceImplementation {
  GetReservation: grpc.handleUnaryCall<_socle_v1_GetReservationRequest__Output, _socle_v1_Reservation>;
  
  ListReservations: grpc.handleUnaryCall<_socle_v1_ListReservationsRequest__Output, _socle_v1_ListReservationsResponse>;
  
  ReleaseReservation: grpc.handleUnaryCall<_socle_v1_ReleaseReservationRequest__Output, _socle_v1_Reservation>;
  
  RenewReservation: grpc.handleUnaryCall<_socle_v1_RenewReservationRequest__Output, _socle_v1_Reservation>;
  
  Reserve: grpc.handleUnaryCall<_socle_v1_ReserveRequest__Output, _socle_v1_Reservation>;
  
}

export interface ReservationServiceDefinition extends grpc.ServiceDefinition {
  GetReservation: MethodDefinition<_socle_v1_GetReservationRequest, _socle_v1_Reservation, _socle_v1_GetReservationRequest__Output, _socle_v1_Reservation__Output>
  ListReservations: MethodDefinition<_socle_v1_ListReservationsRequest, _socle_v1_ListReservationsResponse, _socle_v1_ListReservationsRequest__Output, _socle_v1_ListReservationsResponse__Output>
  ReleaseReservation: MethodDefinition<_socle_v1_ReleaseReservationRequest, _socle_v1_Reservation, _socle_v1_ReleaseReservationRequest__Output, _socle_v1_Reservation__Output>
  RenewReservation: MethodDefinition<_socle_v1_RenewReservationRequest, _socle_v1_Reservation, _socle_v1_RenewReservationRequest__Output, _socle_v1_Reservation__Output>
  Reserve: MethodDefinition<_socle_v1_ReserveRequest, _socle_v1_Reservation, _socle_v1_ReserveRequest__Output, _socle_v1_Reservation__Output>
}
