// Original file: proto/socle/v1/storage.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CreateVolumeRequest as _socle_v1_CreateVolumeRequest, CreateVolumeRequest__Output as _socle_v1_CreateVolumeRequest__Output } from '../../socle/v1/CreateVolumeRequest.ts';
import type { DeleteVolumeRequest as _socle_v1_DeleteVolumeRequest, DeleteVolumeRequest__Output as _socle_v1_DeleteVolumeRequest__Output } from '../../socle/v1/DeleteVolumeRequest.ts';
import type { ListPoolsRequest as _socle_v1_ListPoolsRequest, ListPoolsRequest__Output as _socle_v1_ListPoolsRequest__Output } from '../../socle/v1/ListPoolsRequest.ts';
import type { ListPoolsResponse as _socle_v1_ListPoolsResponse, ListPoolsResponse__Output as _socle_v1_ListPoolsResponse__Output } from '../../socle/v1/ListPoolsResponse.ts';
import type { ListVolumesRequest as _socle_v1_ListVolumesRequest, ListVolumesRequest__Output as _socle_v1_ListVolumesRequest__Output } from '../../socle/v1/ListVolumesRequest.ts';
import type { ListVolumesResponse as _socle_v1_ListVolumesResponse, ListVolumesResponse__Output as _socle_v1_ListVolumesResponse__Output } from '../../socle/v1/ListVolumesResponse.ts';
import type { Operation as _socle_v1_Operation, Operation__Output as _socle_v1_Operation__Output } from '../../socle/v1/Operation.ts';
import type { ResizeVolumeRequest as _socle_v1_ResizeVolumeRequest, ResizeVolumeRequest__Output as _socle_v1_ResizeVolumeRequest__Output } from '../../socle/v1/ResizeVolumeRequest.ts';

export interface StorageServiceClient extends grpc.Client {
  CreateVolume(argument: _socle_v1_CreateVolumeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  CreateVolume(argument: _socle_v1_CreateVolumeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  CreateVolume(argument: _socle_v1_CreateVolumeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  CreateVolume(argument: _socle_v1_CreateVolumeRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  createVolume(argument: _socle_v1_CreateVolumeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  createVolume(argument: _socle_v1_CreateVolumeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  createVolume(argument: _socle_v1_CreateVolumeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  createVolume(argument: _socle_v1_CreateVolumeRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  DeleteVolume(argument: _socle_v1_DeleteVolumeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DeleteVolume(argument: _socle_v1_DeleteVolumeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DeleteVolume(argument: _socle_v1_DeleteVolumeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DeleteVolume(argument: _socle_v1_DeleteVolumeRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteVolume(argument: _socle_v1_DeleteVolumeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteVolume(argument: _socle_v1_DeleteVolumeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteVolume(argument: _socle_v1_DeleteVolumeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteVolume(argument: _socle_v1_DeleteVolumeRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
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
  
  ResizeVolume(argument: _socle_v1_ResizeVolumeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ResizeVolume(argument: _socle_v1_ResizeVolumeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ResizeVolume(argument: _socle_v1_ResizeVolumeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  ResizeVolume(argument: _socle_v1_ResizeVolumeRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  resizeVolume(argument: _socle_v1_ResizeVolumeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  resizeVolume(argument: _socle_v1_ResizeVolumeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  resizeVolume(argument: _socle_v1_ResizeVolumeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  resizeVolume(argument: _socle_v1_ResizeVolumeRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
}

export interface StorageServiceHandlers extends grpc.UntypedServiceImplementation {
  CreateVolume: grpc.handleUnaryCall<_socle_v1_CreateVolumeRequest__Output, _socle_v1_Operation>;
  
  DeleteVolume: grpc.handleUnaryCall<_socle_v1_DeleteVolumeRequest__Output, _socle_v1_Operation>;
  
  ListPools: grpc.handleUnaryCall<_socle_v1_ListPoolsRequest__Output, _socle_v1_ListPoolsResponse>;
  
  ListVolumes: grpc.handleUnaryCall<_socle_v1_ListVolumesRequest__Output, _socle_v1_ListVolumesResponse>;
  
  ResizeVolume: grpc.handleUnaryCall<_socle_v1_ResizeVolumeRequest__Output, _socle_v1_Operation>;
  
}

export interface StorageServiceDefinition extends grpc.ServiceDefinition {
  CreateVolume: MethodDefinition<_socle_v1_CreateVolumeRequest, _socle_v1_Operation, _socle_v1_CreateVolumeRequest__Output, _socle_v1_Operation__Output>
  DeleteVolume: MethodDefinition<_socle_v1_DeleteVolumeRequest, _socle_v1_Operation, _socle_v1_DeleteVolumeRequest__Output, _socle_v1_Operation__Output>
  ListPools: MethodDefinition<_socle_v1_ListPoolsRequest, _socle_v1_ListPoolsResponse, _socle_v1_ListPoolsRequest__Output, _socle_v1_ListPoolsResponse__Output>
  ListVolumes: MethodDefinition<_socle_v1_ListVolumesRequest, _socle_v1_ListVolumesResponse, _socle_v1_ListVolumesRequest__Output, _socle_v1_ListVolumesResponse__Output>
  ResizeVolume: MethodDefinition<_socle_v1_ResizeVolumeRequest, _socle_v1_Operation, _socle_v1_ResizeVolumeRequest__Output, _socle_v1_Operation__Output>
}
