// Original file: proto/socle/v1/operation.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CancelOperationRequest as _socle_v1_CancelOperationRequest, CancelOperationRequest__Output as _socle_v1_CancelOperationRequest__Output } from '../../socle/v1/CancelOperationRequest.ts';
import type { GetOperationRequest as _socle_v1_GetOperationRequest, GetOperationRequest__Output as _socle_v1_GetOperationRequest__Output } from '../../socle/v1/GetOperationRequest.ts';
import type { ListOperationsRequest as _socle_v1_ListOperationsRequest, ListOperationsRequest__Output as _socle_v1_ListOperationsRequest__Output } from '../../socle/v1/ListOperationsRequest.ts';
import type { ListOperationsResponse as _socle_v1_ListOperationsResponse, ListOperationsResponse__Output as _socle_v1_ListOperationsResponse__Output } from '../../socle/v1/ListOperationsResponse.ts';
import type { Operation as _socle_v1_Operation, Operation__Output as _socle_v1_Operation__Output } from '../../socle/v1/Operation.ts';
import type { SettleOperationRequest as _socle_v1_SettleOperationRequest, SettleOperationRequest__Output as _socle_v1_SettleOperationRequest__Output } from '../../socle/v1/SettleOperationRequest.ts';
import type { WaitOperationRequest as _socle_v1_WaitOperationRequest, WaitOperationRequest__Output as _socle_v1_WaitOperationRequest__Output } from '../../socle/v1/WaitOperationRequest.ts';
import type { WatchOperationsRequest as _socle_v1_WatchOperationsRequest, WatchOperationsRequest__Output as _socle_v1_WatchOperationsRequest__Output } from '../../socle/v1/WatchOperationsRequest.ts';

export interface OperationServiceClient extends grpc.Client {
  CancelOperation(argument: _socle_v1_CancelOperationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  CancelOperation(argument: _socle_v1_CancelOperationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  CancelOperation(argument: _socle_v1_CancelOperationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  CancelOperation(argument: _socle_v1_CancelOperationRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  cancelOperation(argument: _socle_v1_CancelOperationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  cancelOperation(argument: _socle_v1_CancelOperationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  cancelOperation(argument: _socle_v1_CancelOperationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  cancelOperation(argument: _socle_v1_CancelOperationRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  GetOperation(argument: _socle_v1_GetOperationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  GetOperation(argument: _socle_v1_GetOperationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  GetOperation(argument: _socle_v1_GetOperationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  GetOperation(argument: _socle_v1_GetOperationRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  getOperation(argument: _socle_v1_GetOperationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  getOperation(argument: _socle_v1_GetOperationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  getOperation(argument: _socle_v1_GetOperationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  getOperation(argument: _socle_v1_GetOperationRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  ListOperations(argument: _socle_v1_ListOperationsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  ListOperations(argument: _socle_v1_ListOperationsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  ListOperations(argument: _socle_v1_ListOperationsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  ListOperations(argument: _socle_v1_ListOperationsRequest, callback: grpc.requestCallback<_socle_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  listOperations(argument: _socle_v1_ListOperationsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  listOperations(argument: _socle_v1_ListOperationsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  listOperations(argument: _socle_v1_ListOperationsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  listOperations(argument: _socle_v1_ListOperationsRequest, callback: grpc.requestCallback<_socle_v1_ListOperationsResponse__Output>): grpc.ClientUnaryCall;
  
  SettleOperation(argument: _socle_v1_SettleOperationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  SettleOperation(argument: _socle_v1_SettleOperationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  SettleOperation(argument: _socle_v1_SettleOperationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  SettleOperation(argument: _socle_v1_SettleOperationRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  settleOperation(argument: _socle_v1_SettleOperationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  settleOperation(argument: _socle_v1_SettleOperationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  settleOperation(argument: _socle_v1_SettleOperationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  settleOperation(argument: _socle_v1_SettleOperationRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  WaitOperation(argument: _socle_v1_WaitOperationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  WaitOperation(argument: _socle_v1_WaitOperationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  WaitOperation(argument: _socle_v1_WaitOperationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  WaitOperation(argument: _socle_v1_WaitOperationRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  waitOperation(argument: _socle_v1_WaitOperationRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  waitOperation(argument: _socle_v1_WaitOperationRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  waitOperation(argument: _socle_v1_WaitOperationRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  waitOperation(argument: _socle_v1_WaitOperationRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  WatchOperations(argument: _socle_v1_WatchOperationsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_Operation__Output>;
  WatchOperations(argument: _socle_v1_WatchOperationsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_Operation__Output>;
  watchOperations(argument: _socle_v1_WatchOperationsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_Operation__Output>;
  watchOperations(argument: _socle_v1_WatchOperationsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_Operation__Output>;
  
}

export interface OperationServiceHandlers extends grpc.UntypedServiceImplementation {
  CancelOperation: grpc.handleUnaryCall<_socle_v1_CancelOperationRequest__Output, _socle_v1_Operation>;
  
  GetOperation: grpc.handleUnaryCall<_socle_v1_GetOperationRequest__Output, _socle_v1_Operation>;
  
  ListOperations: grpc.handleUnaryCall<_socle_v1_ListOperationsRequest__Output, _socle_v1_ListOperationsResponse>;
  
  SettleOperation: grpc.handleUnaryCall<_socle_v1_SettleOperationRequest__Output, _socle_v1_Operation>;
  
  WaitOperation: grpc.handleUnaryCall<_socle_v1_WaitOperationRequest__Output, _socle_v1_Operation>;
  
  WatchOperations: grpc.handleServerStreamingCall<_socle_v1_WatchOperationsRequest__Output, _socle_v1_Operation>;
  
}

export interface OperationServiceDefinition extends grpc.ServiceDefinition {
  CancelOperation: MethodDefinition<_socle_v1_CancelOperationRequest, _socle_v1_Operation, _socle_v1_CancelOperationRequest__Output, _socle_v1_Operation__Output>
  GetOperation: MethodDefinition<_socle_v1_GetOperationRequest, _socle_v1_Operation, _socle_v1_GetOperationRequest__Output, _socle_v1_Operation__Output>
  ListOperations: MethodDefinition<_socle_v1_ListOperationsRequest, _socle_v1_ListOperationsResponse, _socle_v1_ListOperationsRequest__Output, _socle_v1_ListOperationsResponse__Output>
  SettleOperation: MethodDefinition<_socle_v1_SettleOperationRequest, _socle_v1_Operation, _socle_v1_SettleOperationRequest__Output, _socle_v1_Operation__Output>
  WaitOperation: MethodDefinition<_socle_v1_WaitOperationRequest, _socle_v1_Operation, _socle_v1_WaitOperationRequest__Output, _socle_v1_Operation__Output>
  WatchOperations: MethodDefinition<_socle_v1_WatchOperationsRequest, _socle_v1_Operation, _socle_v1_WatchOperationsRequest__Output, _socle_v1_Operation__Output>
}
