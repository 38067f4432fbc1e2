// Original file: proto/socle/v1/enrollment.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { EnrollRequest as _socle_v1_EnrollRequest, EnrollRequest__Output as _socle_v1_EnrollRequest__Output } from '../../socle/v1/EnrollRequest.ts';
import type { EnrollResponse as _socle_v1_EnrollResponse, EnrollResponse__Output as _socle_v1_EnrollResponse__Output } from '../../socle/v1/EnrollResponse.ts';
import type { RenewRequest as _socle_v1_RenewRequest, RenewRequest__Output as _socle_v1_RenewRequest__Output } from '../../socle/v1/RenewRequest.ts';
import type { RenewResponse as _socle_v1_RenewResponse, RenewResponse__Output as _socle_v1_RenewResponse__Output } from '../../socle/v1/RenewResponse.ts';

export interface EnrollmentServiceClient extends grpc.Client {
  Enroll(argument: _socle_v1_EnrollRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  Enroll(argument: _socle_v1_EnrollRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  Enroll(argument: _socle_v1_EnrollRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  Enroll(argument: _socle_v1_EnrollRequest, callback: grpc.requestCallback<_socle_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  enroll(argument: _socle_v1_EnrollRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  enroll(argument: _socle_v1_EnrollRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  enroll(argument: _socle_v1_EnrollRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  enroll(argument: _socle_v1_EnrollRequest, callback: grpc.requestCallback<_socle_v1_EnrollResponse__Output>): grpc.ClientUnaryCall;
  
  Renew(argument: _socle_v1_RenewRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  Renew(argument: _socle_v1_RenewRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  Renew(argument: _socle_v1_RenewRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  Renew(argument: _socle_v1_RenewRequest, callback: grpc.requestCallback<_socle_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  renew(argument: _socle_v1_RenewRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  renew(argument: _socle_v1_RenewRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  renew(argument: _socle_v1_RenewRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  renew(argument: _socle_v1_RenewRequest, callback: grpc.requestCallback<_socle_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface EnrollmentServiceHandlers extends grpc.UntypedServiceImplementation {
  Enroll: grpc.handleUnaryCall<_socle_v1_EnrollRequest__Output, _socle_v1_EnrollResponse>;
  
  Renew: grpc.handleUnaryCall<_socle_v1_RenewRequest__Output, _socle_v1_RenewResponse>;
  
}

export interface EnrollmentServiceDefinition extends grpc.ServiceDefinition {
  Enroll: MethodDefinition<_socle_v1_EnrollRequest, _socle_v1_EnrollResponse, _socle_v1_EnrollRequest__Output, _socle_v1_EnrollResponse__Output>
  Renew: MethodDefinition<_socle_v1_RenewRequest, _socle_v1_RenewResponse, _socle_v1_RenewRequest__Output, _socle_v1_RenewResponse__Output>
}
