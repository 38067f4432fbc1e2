// Original file: proto/socle/v1/snapshot.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CreateSnapshotRequest as _socle_v1_CreateSnapshotRequest, CreateSnapshotRequest__Output as _socle_v1_CreateSnapshotRequest__Output } from '../../socle/v1/CreateSnapshotRequest.ts';
import type { DeleteSnapshotRequest as _socle_v1_DeleteSnapshotRequest, DeleteSnapshotRequest__Output as _socle_v1_DeleteSnapshotRequest__Output } from '../../socle/v1/DeleteSnapshotRequest.ts';
import type { GetSnapshotRequest as _socle_v1_GetSnapshotRequest, GetSnapshotRequest__Output as _socle_v1_GetSnapshotRequest__Output } from '../../socle/v1/GetSnapshotRequest.ts';
import type { ListSnapshotsRequest as _socle_v1_ListSnapshotsRequest, ListSnapshotsRequest__Output as _socle_v1_ListSnapshotsRequest__Output } from '../../socle/v1/ListSnapshotsRequest.ts';
import type { ListSnapshotsResponse as _socle_v1_ListSnapshotsResponse, ListSnapshotsResponse__Output as _socle_v1_ListSnapshotsResponse__Output } from '../../socle/v1/ListSnapshotsResponse.ts';
import type { Operation as _socle_v1_Operation, Operation__Output as _socle_v1_Operation__Output } from '../../socle/v1/Operation.ts';
import type { RevertSnapshotRequest as _socle_v1_RevertSnapshotRequest, RevertSnapshotRequest__Output as _socle_v1_RevertSnapshotRequest__Output } from '../../socle/v1/RevertSnapshotRequest.ts';
import type { Snapshot as _socle_v1_Snapshot, Snapshot__Output as _socle_v1_Snapshot__Output } from '../../socle/v1/Snapshot.ts';

export interface SnapshotServiceClient extends grpc.Client {
  CreateSnapshot(argument: _socle_v1_CreateSnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  CreateSnapshot(argument: _socle_v1_CreateSnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  CreateSnapshot(argument: _socle_v1_CreateSnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  CreateSnapshot(argument: _socle_v1_CreateSnapshotRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  createSnapshot(argument: _socle_v1_CreateSnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  createSnapshot(argument: _socle_v1_CreateSnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  createSnapshot(argument: _socle_v1_CreateSnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  createSnapshot(argument: _socle_v1_CreateSnapshotRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  DeleteSnapshot(argument: _socle_v1_DeleteSnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DeleteSnapshot(argument: _socle_v1_DeleteSnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DeleteSnapshot(argument: _socle_v1_DeleteSnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  DeleteSnapshot(argument: _socle_v1_DeleteSnapshotRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteSnapshot(argument: _socle_v1_DeleteSnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteSnapshot(argument: _socle_v1_DeleteSnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteSnapshot(argument: _socle_v1_DeleteSnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  deleteSnapshot(argument: _socle_v1_DeleteSnapshotRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  GetSnapshot(argument: _socle_v1_GetSnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Snapshot__Output>): grpc.ClientUnaryCall;
  GetSnapshot(argument: _socle_v1_GetSnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Snapshot__Output>): grpc.ClientUnaryCall;
  GetSnapshot(argument: _socle_v1_GetSnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Snapshot__Output>): grpc.ClientUnaryCall;
  GetSnapshot(argument: _socle_v1_GetSnapshotRequest, callback: grpc.requestCallback<_socle_v1_Snapshot__Output>): grpc.ClientUnaryCall;
  getSnapshot(argument: _socle_v1_GetSnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Snapshot__Output>): grpc.ClientUnaryCall;
  getSnapshot(argument: _socle_v1_GetSnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Snapshot__Output>): grpc.ClientUnaryCall;
  getSnapshot(argument: _socle_v1_GetSnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Snapshot__Output>): grpc.ClientUnaryCall;
  getSnapshot(argument: _socle_v1_GetSnapshotRequest, callback: grpc.requestCallback<_socle_v1_Snapshot__Output>): grpc.ClientUnaryCall;
  
  ListSnapshots(argument: _socle_v1_ListSnapshotsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListSnapshotsResponse__Output>): grpc.ClientUnaryCall;
  ListSnapshots(argument: _socle_v1_ListSnapshotsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListSnapshotsResponse__Output>): grpc.ClientUnaryCall;
  ListSnapshots(argument: _socle_v1_ListSnapshotsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListSnapshotsResponse__Output>): grpc.ClientUnaryCall;
  ListSnapshots(argument: _socle_v1_ListSnapshotsRequest, callback: grpc.requestCallback<_socle_v1_ListSnapshotsResponse__Output>): grpc.ClientUnaryCall;
  listSnapshots(argument: _socle_v1_ListSnapshotsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListSnapshotsResponse__Output>): grpc.ClientUnaryCall;
  listSnapshots(argument: _socle_v1_ListSnapshotsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListSnapshotsResponse__Output>): grpc.ClientUnaryCall;
  listSnapshots(argument: _socle_v1_ListSnapshotsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListSnapshotsResponse__Output>): grpc.ClientUnaryCall;
  listSnapshots(argument: _socle_v1_ListSnapshotsRequest, callback: grpc.requestCallback<_socle_v1_ListSnapshotsResponse__Output>): grpc.ClientUnaryCall;
  
  RevertSnapshot(argument: _socle_v1_RevertSnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  RevertSnapshot(argument: _socle_v1_RevertSnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  RevertSnapshot(argument: _socle_v1_RevertSnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  RevertSnapshot(argument: _socle_v1_RevertSnapshotRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  revertSnapshot(argument: _socle_v1_RevertSnapshotRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  revertSnapshot(argument: _socle_v1_RevertSnapshotRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  revertSnapshot(argument: _socle_v1_RevertSnapshotRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  revertSnapshot(argument: _socle_v1_RevertSnapshotRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
}

export interface SnapshotServiceHandlers extends grpc.UntypedServiceImplementation {
  CreateSnapshot: grpc.handleUnaryCall<_socle_v1_CreateSnapshotRequest__Output, _socle_v1_Operation>;
  
  DeleteSnapshot: grpc.handleUnaryCall<_socle_v1_DeleteSnapshotRequest__Output, _socle_v1_Operation>;
  
  GetSnapshot: grpc.handleUnaryCall<_socle_v1_GetSnapshotRequest__Output, _socle_v1_Snapshot>;
  
  ListSnapshots: grpc.handleUnaryCall<_socle_v1_ListSnapshotsRequest__Output, _socle_v1_ListSnapshotsResponse>;
  
  RevertSnapshot: grpc.handleUnaryCall<_socle_v1_RevertSnapshotRequest__Output, _socle_v1_Operation>;
  
}

export interface SnapshotServiceDefinition extends grpc.ServiceDefinition {
  CreateSnapshot: MethodDefinition<_socle_v1_CreateSnapshotRequest, _socle_v1_Operation, _socle_v1_CreateSnapshotRequest__Output, _socle_v1_Operation__Output>
  DeleteSnapshot: MethodDefinition<_socle_v1_DeleteSnapshotRequest, _socle_v1_Operation, _socle_v1_DeleteSnapshotRequest__Output, _socle_v1_Operation__Output>
  GetSnapshot: MethodDefinition<_socle_v1_GetSnapshotRequest, _socle_v1_Snapshot, _socle_v1_GetSnapshotRequest__Output, _socle_v1_Snapshot__Output>
  ListSnapshots: MethodDefinition<_socle_v1_ListSnapshotsRequest, _socle_v1_ListSnapshotsResponse, _socle_v1_ListSnapshotsRequest__Output, _socle_v1_ListSnapshotsResponse__Output>
  RevertSnapshot: MethodDefinition<_socle_v1_RevertSnapshotRequest, _socle_v1_Operation, _socle_v1_RevertSnapshotRequest__Output, _socle_v1_Operation__Output>
}
