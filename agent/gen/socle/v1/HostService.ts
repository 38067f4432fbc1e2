// Original file: proto/socle/v1/host.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AcknowledgeConditionRequest as _socle_v1_AcknowledgeConditionRequest, AcknowledgeConditionRequest__Output as _socle_v1_AcknowledgeConditionRequest__Output } from '../../socle/v1/AcknowledgeConditionRequest.ts';
import type { GetHostRequest as _socle_v1_GetHostRequest, GetHostRequest__Output as _socle_v1_GetHostRequest__Output } from '../../socle/v1/GetHostRequest.ts';
import type { Host as _socle_v1_Host, Host__Output as _socle_v1_Host__Output } from '../../socle/v1/Host.ts';
import type { ListTenantsRequest as _socle_v1_ListTenantsRequest, ListTenantsRequest__Output as _socle_v1_ListTenantsRequest__Output } from '../../socle/v1/ListTenantsRequest.ts';
import type { ListTenantsResponse as _socle_v1_ListTenantsResponse, ListTenantsResponse__Output as _socle_v1_ListTenantsResponse__Output } from '../../socle/v1/ListTenantsResponse.ts';
import type { ResetControlEpochRequest as _socle_v1_ResetControlEpochRequest, ResetControlEpochRequest__Output as _socle_v1_ResetControlEpochRequest__Output } from '../../socle/v1/ResetControlEpochRequest.ts';
import type { ResetControlEpochResponse as _socle_v1_ResetControlEpochResponse, ResetControlEpochResponse__Output as _socle_v1_ResetControlEpochResponse__Output } from '../../socle/v1/ResetControlEpochResponse.ts';
import type { SetSchedulingStateRequest as _socle_v1_SetSchedulingStateRequest, SetSchedulingStateRequest__Output as _socle_v1_SetSchedulingStateRequest__Output } from '../../socle/v1/SetSchedulingStateRequest.ts';
import type { WatchHostRequest as _socle_v1_WatchHostRequest, WatchHostRequest__Output as _socle_v1_WatchHostRequest__Output } from '../../socle/v1/WatchHostRequest.ts';

export interface HostServiceClient extends grpc.Client {
  AcknowledgeCondition(argument: _socle_v1_AcknowledgeConditionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  AcknowledgeCondition(argument: _socle_v1_AcknowledgeConditionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  AcknowledgeCondition(argument: _socle_v1_AcknowledgeConditionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  AcknowledgeCondition(argument: _socle_v1_AcknowledgeConditionRequest, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  acknowledgeCondition(argument: _socle_v1_AcknowledgeConditionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  acknowledgeCondition(argument: _socle_v1_AcknowledgeConditionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  acknowledgeCondition(argument: _socle_v1_AcknowledgeConditionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  acknowledgeCondition(argument: _socle_v1_AcknowledgeConditionRequest, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  
  GetHost(argument: _socle_v1_GetHostRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  GetHost(argument: _socle_v1_GetHostRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  GetHost(argument: _socle_v1_GetHostRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  GetHost(argument: _socle_v1_GetHostRequest, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  getHost(argument: _socle_v1_GetHostRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  getHost(argument: _socle_v1_GetHostRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  getHost(argument: _socle_v1_GetHostRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  getHost(argument: _socle_v1_GetHostRequest, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  
  ListTenants(argument: _socle_v1_ListTenantsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  ListTenants(argument: _socle_v1_ListTenantsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  ListTenants(argument: _socle_v1_ListTenantsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  ListTenants(argument: _socle_v1_ListTenantsRequest, callback: grpc.requestCallback<_socle_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  listTenants(argument: _socle_v1_ListTenantsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  listTenants(argument: _socle_v1_ListTenantsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  listTenants(argument: _socle_v1_ListTenantsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  listTenants(argument: _socle_v1_ListTenantsRequest, callback: grpc.requestCallback<_socle_v1_ListTenantsResponse__Output>): grpc.ClientUnaryCall;
  
  ResetControlEpoch(argument: _socle_v1_ResetControlEpochRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ResetControlEpochResponse__Output>): grpc.ClientUnaryCall;
  ResetControlEpoch(argument: _socle_v1_ResetControlEpochRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ResetControlEpochResponse__Output>): grpc.ClientUnaryCall;
  ResetControlEpoch(argument: _socle_v1_ResetControlEpochRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ResetControlEpochResponse__Output>): grpc.ClientUnaryCall;
  ResetControlEpoch(argument: _socle_v1_ResetControlEpochRequest, callback: grpc.requestCallback<_socle_v1_ResetControlEpochResponse__Output>): grpc.ClientUnaryCall;
  resetControlEpoch(argument: _socle_v1_ResetControlEpochRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ResetControlEpochResponse__Output>): grpc.ClientUnaryCall;
  resetControlEpoch(argument: _socle_v1_ResetControlEpochRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ResetControlEpochResponse__Output>): grpc.ClientUnaryCall;
  resetControlEpoch(argument: _socle_v1_ResetControlEpochRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ResetControlEpochResponse__Output>): grpc.ClientUnaryCall;
  resetControlEpoch(argument: _socle_v1_ResetControlEpochRequest, callback: grpc.requestCallback<_socle_v1_ResetControlEpochResponse__Output>): grpc.ClientUnaryCall;
  
  SetSchedulingState(argument: _socle_v1_SetSchedulingStateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  SetSchedulingState(argument: _socle_v1_SetSchedulingStateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  SetSchedulingState(argument: _socle_v1_SetSchedulingStateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  SetSchedulingState(argument: _socle_v1_SetSchedulingStateRequest, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  setSchedulingState(argument: _socle_v1_SetSchedulingStateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  setSchedulingState(argument: _socle_v1_SetSchedulingStateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  setSchedulingState(argument: _socle_v1_SetSchedulingStateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  setSchedulingState(argument: _socle_v1_SetSchedulingStateRequest, callback: grpc.requestCallback<_socle_v1_Host__Output>): grpc.ClientUnaryCall;
  
  WatchHost(argument: _socle_v1_WatchHostRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_Host__Output>;
  WatchHost(argument: _socle_v1_WatchHostRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_Host__Output>;
  watchHost(argument: _socle_v1_WatchHostRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_Host__Output>;
  watchHost(argument: _socle_v1_WatchHostRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_Host__Output>;
  
}

export interface HostServiceHandlers extends grpc.UntypedServiceImplementation {
  AcknowledgeCondition: grpc.handleUnaryCall<_socle_v1_AcknowledgeConditionRequest__Output, _socle_v1_Host>;
  
  GetHost: grpc.handleUnaryCall<_socle_v1_GetHostRequest__Output, _socle_v1_Host>;
  
  ListTenants: grpc.handleUnaryCall<_socle_v1_ListTenantsRequest__Output, _socle_v1_ListTenantsResponse>;
  
  ResetControlEpoch: grpc.handleUnaryCall<_socle_v1_ResetControlEpochRequest__Output, _socle_v1_ResetControlEpochResponse>;
  
  SetSchedulingState: grpc.handleUnaryCall<_socle_v1_SetSchedulingStateRequest__Output, _socle_v1_Host>;
  
  WatchHost: grpc.handleServerStreamingCall<_socle_v1_WatchHostRequest__Output, _socle_v1_Host>;
  
}

export interface HostServiceDefinition extends grpc.ServiceDefinition {
  AcknowledgeCondition: MethodDefinition<_socle_v1_AcknowledgeConditionRequest, _socle_v1_Host, _socle_v1_AcknowledgeConditionRequest__Output, _socle_v1_Host__Output>
  GetHost: MethodDefinition<_socle_v1_GetHostRequest, _socle_v1_Host, _socle_v1_GetHostRequest__Output, _socle_v1_Host__Output>
  ListTenants: MethodDefinition<_socle_v1_ListTenantsRequest, _socle_v1_ListTenantsResponse, _socle_v1_ListTenantsRequest__Output, _socle_v1_ListTenantsResponse__Output>
  ResetControlEpoch: MethodDefinition<_socle_v1_ResetControlEpochRequest, _socle_v1_ResetControlEpochResponse, _socle_v1_ResetControlEpochRequest__Output, _socle_v1_ResetControlEpochResponse__Output>
  SetSchedulingState: MethodDefinition<_socle_v1_SetSchedulingStateRequest, _socle_v1_Host, _socle_v1_SetSchedulingStateRequest__Output, _socle_v1_Host__Output>
  WatchHost: MethodDefinition<_socle_v1_WatchHostRequest, _socle_v1_Host, _socle_v1_WatchHostRequest__Output, _socle_v1_Host__Output>
}
