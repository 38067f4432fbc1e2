// Original file: proto/socle/v1/storage.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ListPoolsRequest as _socle_v1_ListPoolsRequest, ListPoolsRequest__Output as _socle_v1_ListPoolsRequest__Output } from '../../socle/v1/ListPoolsRequest.ts';
import type { ListPoolsResponse as _socle_v1_ListPoolsResponse, ListPoolsResponse__Output as _socle_v1_ListPoolsResponse__Output } from '../../socle/v1/ListPoolsResponse.ts';
import type { ListVolumesRequest as _socle_v1_ListVolumesRequest, ListVolumesRequest__Output as _socle_v1_ListVolumesRequest__Output } from '../../socle/v1/ListVolumesRequest.ts';
import type { ListVolumesResponse as _socle_v1_ListVolumesResponse, ListVolumesResponse__Output as _socle_v1_ListVolumesResponse__Output } from '../../socle/v1/ListVolumesResponse.ts';

export interface StorageServiceClient extends grpc.Client {
  ListPools(argument: _socle_v1_ListPoolsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListPoolsResponse__Output>): grpc.ClientUnaryCall;
  ListPools(argument: _socle_v1_ListPoolsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListPoolsResponse__Output>): grpc.ClientUnaryCall;
  ListPools(argument: _socle_v1_ListPoolsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListPoolsResponse__Output>): grpc.ClientUnaryCall;
  ListPools(argument: _socle_v1_ListPoolsRequest, callback: grpc.requestCallback<_socle_v1_ListPoolsResponse__Output>): grpc.ClientUnaryCall;
  listPools(argument: _socle_v1_ListPoolsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListPoolsResponse__Output>): grpc.ClientUnaryCall;
  listPools(argument: _socle_v1_ListPoolsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListPoolsResponse__Output>): grpc.ClientUnaryCall;
  listPools(argument: _socle_v1_ListPoolsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListPoolsResponse__Output>): grpc.ClientUnaryCall;
  listPools(argument: _socle_v1_ListPoolsRequest, callback: grpc.requestCallback<_socle_v1_ListPoolsResponse__Output>): grpc.ClientUnaryCall;
  
  ListVolumes(argument: _socle_v1_ListVolumesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListVolumesResponse__Output>): grpc.ClientUnaryCall;
  ListVolumes(argument: _socle_v1_ListVolumesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListVolumesResponse__Output>): grpc.ClientUnaryCall;
  ListVolumes(argument: _socle_v1_ListVolumesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListVolumesResponse__Output>): grpc.ClientUnaryCall;
  ListVolumes(argument: _socle_v1_ListVolumesRequest, callback: grpc.requestCallback<_socle_v1_ListVolumesResponse__Output>): grpc.ClientUnaryCall;
  listVolumes(argument: _socle_v1_ListVolumesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListVolumesResponse__Output>): grpc.ClientUnaryCall;
  listVolumes(argument: _socle_v1_ListVolumesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListVolumesResponse__Output>): grpc.ClientUnaryCall;
  listVolumes(argument: _socle_v1_ListVolumesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListVolumesResponse__Output>): grpc.ClientUnaryCall;
  listVolumes(argument: _socle_v1_ListVolumesRequest, callback: grpc.requestCallback<_socle_v1_ListVolumesResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface StorageServiceHandlers extends grpc.UntypedServiceImplementation {
  ListPools: grpc.handleUnaryCall<_socle_v1_ListPoolsRequest__Output, _socle_v1_ListPoolsResponse>;
  
  ListVolumes: grpc.handleUnaryCall<_socle_v1_ListVolumesRequest__Output, _socle_v1_ListVolumesResponse>;
  
}

export interface StorageServiceDefinition extends grpc.ServiceDefinition {
  ListPools: MethodDefinition<_socle_v1_ListPoolsRequest, _socle_v1_ListPoolsResponse, _socle_v1_ListPoolsRequest__Output, _socle_v1_ListPoolsResponse__Output>
  ListVolumes: MethodDefinition<_socle_v1_ListVolumesRequest, _socle_v1_ListVolumesResponse, _socle_v1_ListVolumesRequest__Output, _socle_v1_ListVolumesResponse__Output>
}
