import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { AuditCheckpoint as _socle_v1_AuditCheckpoint, AuditCheckpoint__Output as _socle_v1_AuditCheckpoint__Output } from './socle/v1/AuditCheckpoint.ts';
import type { AuditEntry as _socle_v1_AuditEntry, AuditEntry__Output as _socle_v1_AuditEntry__Output } from './socle/v1/AuditEntry.ts';
import type { AuditServiceClient as _socle_v1_AuditServiceClient, AuditServiceDefinition as _socle_v1_AuditServiceDefinition } from './socle/v1/AuditService.ts';
import type { ListAuditEntriesRequest as _socle_v1_ListAuditEntriesRequest, ListAuditEntriesRequest__Output as _socle_v1_ListAuditEntriesRequest__Output } from './socle/v1/ListAuditEntriesRequest.ts';
import type { ListAuditEntriesResponse as _socle_v1_ListAuditEntriesResponse, ListAuditEntriesResponse__Output as _socle_v1_ListAuditEntriesResponse__Output } from './socle/v1/ListAuditEntriesResponse.ts';
import type { SignCheckpointRequest as _socle_v1_SignCheckpointRequest, SignCheckpointRequest__Output as _socle_v1_SignCheckpointRequest__Output } from './socle/v1/SignCheckpointRequest.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  google: {
    protobuf: {
      Timestamp: MessageTypeDefinition<_google_protobuf_Timestamp, _google_protobuf_Timestamp__Output>
    }
  }
  socle: {
    v1: {
      AuditCheckpoint: MessageTypeDefinition<_socle_v1_AuditCheckpoint, _socle_v1_AuditCheckpoint__Output>
      AuditEntry: MessageTypeDefinition<_socle_v1_AuditEntry, _socle_v1_AuditEntry__Output>
      AuditService: SubtypeConstructor<typeof grpc.Client, _socle_v1_AuditServiceClient> & { service: _socle_v1_AuditServiceDefinition }
      ListAuditEntriesRequest: MessageTypeDefinition<_socle_v1_ListAuditEntriesRequest, _socle_v1_ListAuditEntriesRequest__Output>
      ListAuditEntriesResponse: MessageTypeDefinition<_socle_v1_ListAuditEntriesResponse, _socle_v1_ListAuditEntriesResponse__Output>
      SignCheckpointRequest: MessageTypeDefinition<_socle_v1_SignCheckpointRequest, _socle_v1_SignCheckpointRequest__Output>
    }
  }
}

