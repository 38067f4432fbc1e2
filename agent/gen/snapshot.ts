import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from './google/protobuf/Any.ts';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from './google/protobuf/Duration.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { Status as _google_rpc_Status, Status__Output as _google_rpc_Status__Output } from './google/rpc/Status.ts';
import type { CancelOperationRequest as _socle_v1_CancelOperationRequest, CancelOperationRequest__Output as _socle_v1_CancelOperationRequest__Output } from './socle/v1/CancelOperationRequest.ts';
import type { CreateSnapshotRequest as _socle_v1_CreateSnapshotRequest, CreateSnapshotRequest__Output as _socle_v1_CreateSnapshotRequest__Output } from './socle/v1/CreateSnapshotRequest.ts';
import type { DeleteSnapshotRequest as _socle_v1_DeleteSnapshotRequest, DeleteSnapshotRequest__Output as _socle_v1_DeleteSnapshotRequest__Output } from './socle/v1/DeleteSnapshotRequest.ts';
import type { GetOperationRequest as _socle_v1_GetOperationRequest, GetOperationRequest__Output as _socle_v1_GetOperationRequest__Output } from './socle/v1/GetOperationRequest.ts';
import type { GetSnapshotRequest as _socle_v1_GetSnapshotRequest, GetSnapshotRequest__Output as _socle_v1_GetSnapshotRequest__Output } from './socle/v1/GetSnapshotRequest.ts';
import type { ListOperationsRequest as _socle_v1_ListOperationsRequest, ListOperationsRequest__Output as _socle_v1_ListOperationsRequest__Output } from './socle/v1/ListOperationsRequest.ts';
import type { ListOperationsResponse as _socle_v1_ListOperationsResponse, ListOperationsResponse__Output as _socle_v1_ListOperationsResponse__Output } from './socle/v1/ListOperationsResponse.ts';
import type { ListSnapshotsRequest as _socle_v1_ListSnapshotsRequest, ListSnapshotsRequest__Output as _socle_v1_ListSnapshotsRequest__Output } from './socle/v1/ListSnapshotsRequest.ts';
import type { ListSnapshotsResponse as _socle_v1_ListSnapshotsResponse, ListSnapshotsResponse__Output as _socle_v1_ListSnapshotsResponse__Output } from './socle/v1/ListSnapshotsResponse.ts';
import type { Operation as _socle_v1_Operation, Operation__Output as _socle_v1_Operation__Output } from './socle/v1/Operation.ts';
import type { OperationServiceClient as _socle_v1_OperationServiceClient, OperationServiceDefinition as _socle_v1_OperationServiceDefinition } from './socle/v1/OperationService.ts';
import type { RevertSnapshotRequest as _socle_v1_RevertSnapshotRequest, RevertSnapshotRequest__Output as _socle_v1_RevertSnapshotRequest__Output } from './socle/v1/RevertSnapshotRequest.ts';
import type { SettleOperationRequest as _socle_v1_SettleOperationRequest, SettleOperationRequest__Output as _socle_v1_SettleOperationRequest__Output } from './socle/v1/SettleOperationRequest.ts';
import type { Snapshot as _socle_v1_Snapshot, Snapshot__Output as _socle_v1_Snapshot__Output } from './socle/v1/Snapshot.ts';
import type { SnapshotServiceClient as _socle_v1_SnapshotServiceClient, SnapshotServiceDefinition as _socle_v1_SnapshotServiceDefinition } from './socle/v1/SnapshotService.ts';
import type { WaitOperationRequest as _socle_v1_WaitOperationRequest, WaitOperationRequest__Output as _socle_v1_WaitOperationRequest__Output } from './socle/v1/WaitOperationRequest.ts';
import type { WatchOperationsRequest as _socle_v1_WatchOperationsRequest, WatchOperationsRequest__Output as _socle_v1_WatchOperationsRequest__Output } from './socle/v1/WatchOperationsRequest.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  google: {
    protobuf: {
      Any: MessageTypeDefinition<_google_protobuf_Any, _google_protobuf_Any__Output>
      Duration: MessageTypeDefinition<_google_protobuf_Duration, _google_protobuf_Duration__Output>
      Timestamp: MessageTypeDefinition<_google_protobuf_Timestamp, _google_protobuf_Timestamp__Output>
    }
    rpc: {
      Status: MessageTypeDefinition<_google_rpc_Status, _google_rpc_Status__Output>
    }
  }
  socle: {
    v1: {
      CancelOperationRequest: MessageTypeDefinition<_socle_v1_CancelOperationRequest, _socle_v1_CancelOperationRequest__Output>
      CreateSnapshotRequest: MessageTypeDefinition<_socle_v1_CreateSnapshotRequest, _socle_v1_CreateSnapshotRequest__Output>
      DeleteSnapshotRequest: MessageTypeDefinition<_socle_v1_DeleteSnapshotRequest, _socle_v1_DeleteSnapshotRequest__Output>
      GetOperationRequest: MessageTypeDefinition<_socle_v1_GetOperationRequest, _socle_v1_GetOperationRequest__Output>
      GetSnapshotRequest: MessageTypeDefinition<_socle_v1_GetSnapshotRequest, _socle_v1_GetSnapshotRequest__Output>
      ListOperationsRequest: MessageTypeDefinition<_socle_v1_ListOperationsRequest, _socle_v1_ListOperationsRequest__Output>
      ListOperationsResponse: MessageTypeDefinition<_socle_v1_ListOperationsResponse, _socle_v1_ListOperationsResponse__Output>
      ListSnapshotsRequest: MessageTypeDefinition<_socle_v1_ListSnapshotsRequest, _socle_v1_ListSnapshotsRequest__Output>
      ListSnapshotsResponse: MessageTypeDefinition<_socle_v1_ListSnapshotsResponse, _socle_v1_ListSnapshotsResponse__Output>
      Operation: MessageTypeDefinition<_socle_v1_Operation, _socle_v1_Operation__Output>
      OperationService: SubtypeConstructor<typeof grpc.Client, _socle_v1_OperationServiceClient> & { service: _socle_v1_OperationServiceDefinition }
      RevertSnapshotRequest: MessageTypeDefinition<_socle_v1_RevertSnapshotRequest, _socle_v1_RevertSnapshotRequest__Output>
      SettleOperationRequest: MessageTypeDefinition<_socle_v1_SettleOperationRequest, _socle_v1_SettleOperationRequest__Output>
      Snapshot: MessageTypeDefinition<_socle_v1_Snapshot, _socle_v1_Snapshot__Output>
      SnapshotService: SubtypeConstructor<typeof grpc.Client, _socle_v1_SnapshotServiceClient> & { service: _socle_v1_SnapshotServiceDefinition }
      SnapshotState: EnumTypeDefinition
      WaitOperationRequest: MessageTypeDefinition<_socle_v1_WaitOperationRequest, _socle_v1_WaitOperationRequest__Output>
      WatchOperationsRequest: MessageTypeDefinition<_socle_v1_WatchOperationsRequest, _socle_v1_WatchOperationsRequest__Output>
    }
  }
}

