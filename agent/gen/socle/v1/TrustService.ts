// Original file: proto/socle/v1/enrollment.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { EnrollHostRequest as _socle_v1_EnrollHostRequest, EnrollHostRequest__Output as _socle_v1_EnrollHostRequest__Output } from '../../socle/v1/EnrollHostRequest.ts';
import type { GetTrustRequest as _socle_v1_GetTrustRequest, GetTrustRequest__Output as _socle_v1_GetTrustRequest__Output } from '../../socle/v1/GetTrustRequest.ts';
import type { TrustState as _socle_v1_TrustState, TrustState__Output as _socle_v1_TrustState__Output } from '../../socle/v1/TrustState.ts';

export interface TrustServiceClient extends grpc.Client {
  EnrollHost(argument: _socle_v1_EnrollHostRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  EnrollHost(argument: _socle_v1_EnrollHostRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  EnrollHost(argument: _socle_v1_EnrollHostRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  EnrollHost(argument: _socle_v1_EnrollHostRequest, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  enrollHost(argument: _socle_v1_EnrollHostRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  enrollHost(argument: _socle_v1_EnrollHostRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  enrollHost(argument: _socle_v1_EnrollHostRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  enrollHost(argument: _socle_v1_EnrollHostRequest, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  
  GetTrust(argument: _socle_v1_GetTrustRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  GetTrust(argument: _socle_v1_GetTrustRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  GetTrust(argument: _socle_v1_GetTrustRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  GetTrust(argument: _socle_v1_GetTrustRequest, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  getTrust(argument: _socle_v1_GetTrustRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  getTrust(argument: _socle_v1_GetTrustRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  getTrust(argument: _socle_v1_GetTrustRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  getTrust(argument: _socle_v1_GetTrustRequest, callback: grpc.requestCallback<_socle_v1_TrustState__Output>): grpc.ClientUnaryCall;
  
}

export interface TrustServiceHandlers extends grpc.UntypedServiceImplementation {
  EnrollHost: grpc.handleUnaryCall<_socle_v1_EnrollHostRequest__Output, _socle_v1_TrustState>;
  
  GetTrust: grpc.handleUnaryCall<_socle_v1_GetTrustRequest__Output, _socle_v1_TrustState>;
  
}

export interface TrustServiceDefinition extends grpc.ServiceDefinition {
  EnrollHost: MethodDefinition<_socle_v1_EnrollHostRequest, _socle_v1_TrustState, _socle_v1_EnrollHostRequest__Output, _socle_v1_TrustState__Output>
  GetTrust: MethodDefinition<_socle_v1_GetTrustRequest, _socle_v1_TrustState, _socle_v1_GetTrustRequest__Output, _socle_v1_TrustState__Output>
}
