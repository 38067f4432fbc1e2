// Original file: proto/socle/v1/audit.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AuditCheckpoint as _socle_v1_AuditCheckpoint, AuditCheckpoint__Output as _socle_v1_AuditCheckpoint__Output } from '../../socle/v1/AuditCheckpoint.ts';
import type { ListAuditEntriesRequest as _socle_v1_ListAuditEntriesRequest, ListAuditEntriesRequest__Output as _socle_v1_ListAuditEntriesRequest__Output } from '../../socle/v1/ListAuditEntriesRequest.ts';
import type { ListAuditEntriesResponse as _socle_v1_ListAuditEntriesResponse, ListAuditEntriesResponse__Output as _socle_v1_ListAuditEntriesResponse__Output } from '../../socle/v1/ListAuditEntriesResponse.ts';
import type { SignCheckpointRequest as _socle_v1_SignCheckpointRequest, SignCheckpointRequest__Output as _socle_v1_SignCheckpointRequest__Output } from '../../socle/v1/SignCheckpointRequest.ts';

export interface AuditServiceClient extends grpc.Client {
  ListAuditEntries(argument: _socle_v1_ListAuditEntriesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListAuditEntriesResponse__Output>): grpc.ClientUnaryCall;
  ListAuditEntries(argument: _socle_v1_ListAuditEntriesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListAuditEntriesResponse__Output>): grpc.ClientUnaryCall;
  ListAuditEntries(argument: _socle_v1_ListAuditEntriesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListAuditEntriesResponse__Output>): grpc.ClientUnaryCall;
  ListAuditEntries(argument: _socle_v1_ListAuditEntriesRequest, callback: grpc.requestCallback<_socle_v1_ListAuditEntriesResponse__Output>): grpc.ClientUnaryCall;
  listAuditEntries(argument: _socle_v1_ListAuditEntriesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListAuditEntriesResponse__Output>): grpc.ClientUnaryCall;
  listAuditEntries(argument: _socle_v1_ListAuditEntriesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListAuditEntriesResponse__Output>): grpc.ClientUnaryCall;
  listAuditEntries(argument: _socle_v1_ListAuditEntriesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListAuditEntriesResponse__Output>): grpc.ClientUnaryCall;
  listAuditEntries(argument: _socle_v1_ListAuditEntriesRequest, callback: grpc.requestCallback<_socle_v1_ListAuditEntriesResponse__Output>): grpc.ClientUnaryCall;
  
  SignCheckpoint(argument: _socle_v1_SignCheckpointRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_AuditCheckpoint__Output>): grpc.ClientUnaryCall;
  SignCheckpoint(argument: _socle_v1_SignCheckpointRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_AuditCheckpoint__Output>): grpc.ClientUnaryCall;
  SignCheckpoint(argument: _socle_v1_SignCheckpointRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_AuditCheckpoint__Output>): grpc.ClientUnaryCall;
  SignCheckpoint(argument: _socle_v1_SignCheckpointRequest, callback: grpc.requestCallback<_socle_v1_AuditCheckpoint__Output>): grpc.ClientUnaryCall;
  signCheckpoint(argument: _socle_v1_SignCheckpointRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_AuditCheckpoint__Output>): grpc.ClientUnaryCall;
  signCheckpoint(argument: _socle_v1_SignCheckpointRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_AuditCheckpoint__Output>): grpc.ClientUnaryCall;
  signCheckpoint(argument: _socle_v1_SignCheckpointRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_AuditCheckpoint__Output>): grpc.ClientUnaryCall;
  signCheckpoint(argument: _socle_v1_SignCheckpointRequest, callback: grpc.requestCallback<_socle_v1_AuditCheckpoint__Output>): grpc.ClientUnaryCall;
  
}

export interface AuditServiceHandlers extends grpc.UntypedServiceImplementation {
  ListAuditEntries: grpc.handleUnaryCall<_socle_v1_ListAuditEntriesRequest__Output, _socle_v1_ListAuditEntriesResponse>;
  
  SignCheckpoint: grpc.handleUnaryCall<_socle_v1_SignCheckpointRequest__Output, _socle_v1_AuditCheckpoint>;
  
}

export interface AuditServiceDefinition extends grpc.ServiceDefinition {
  ListAuditEntries: MethodDefinition<_socle_v1_ListAuditEntriesRequest, _socle_v1_ListAuditEntriesResponse, _socle_v1_ListAuditEntriesRequest__Output, _socle_v1_ListAuditEntriesResponse__Output>
  SignCheckpoint: MethodDefinition<_socle_v1_SignCheckpointRequest, _socle_v1_AuditCheckpoint, _socle_v1_SignCheckpointRequest__Output, _socle_v1_AuditCheckpoint__Output>
}
