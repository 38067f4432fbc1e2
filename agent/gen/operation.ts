import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from './google/protobuf/Any.ts';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from './google/protobuf/Duration.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { Status as _google_rpc_Status, Status__Output as _google_rpc_Status__Output } from './google/rpc/Status.ts';
import type { CancelOperationRequest as _socle_v1_CancelOperationRequest, CancelOperationRequest__Output as _socle_v1_CancelOperationRequest__Output } from './socle/v1/CancelOperationRequest.ts';
import type { GetOperationRequest as _socle_v1_GetOperationRequest, GetOperationRequest__Output as _socle_v1_GetOperationRequest__Output } from './socle/v1/GetOperationRequest.ts';
import type { ListOperationsRequest as _socle_v1_ListOperationsRequest, ListOperationsRequest__Output as _socle_v1_ListOperationsRequest__Output } from './socle/v1/ListOperationsRequest.ts';
import type { ListOperationsResponse as _socle_v1_ListOperationsResponse, ListOperationsResponse__Output as _socle_v1_ListOperationsResponse__Output } from './socle/v1/ListOperationsResponse.ts';
import type { Operation as _socle_v1_Operation, Operation__Output as _socle_v1_Operation__Output } from './socle/v1/Operation.ts';
import type { OperationServiceClient as _socle_v1_OperationServiceClient, OperationServiceDefinition as _socle_v1_OperationServiceDefinition } from './socle/v1/OperationService.ts';
import type { SettleOperationRequest as _socle_v1_SettleOperationRequest, SettleOperationRequest__Output as _socle_v1_SettleOperationRequest__Output } from './socle/v1/SettleOperationRequest.ts';
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
      GetOperationRequest: MessageTypeDefinition<_socle_v1_GetOperationRequest, _socle_v1_GetOperationRequest__Output>
      ListOperationsRequest: MessageTypeDefinition<_socle_v1_ListOperationsRequest, _socle_v1_ListOperationsRequest__Output>
      ListOperationsResponse: MessageTypeDefinition<_socle_v1_ListOperationsResponse, _socle_v1_ListOperationsResponse__Output>
      Operation: MessageTypeDefinition<_socle_v1_Operation, _socle_v1_Operation__Output>
      OperationService: SubtypeConstructor<typeof grpc.Client, _socle_v1_OperationServiceClient> & { service: _socle_v1_OperationServiceDefinition }
      SettleOperationRequest: MessageTypeDefinition<_socle_v1_SettleOperationRequest, _socle_v1_SettleOperationRequest__Output>
      WaitOperationRequest: MessageTypeDefinition<_socle_v1_WaitOperationRequest, _socle_v1_WaitOperationRequest__Output>
      WatchOperationsRequest: MessageTypeDefinition<_socle_v1_WatchOperationsRequest, _socle_v1_WatchOperationsRequest__Output>
    }
  }
}

