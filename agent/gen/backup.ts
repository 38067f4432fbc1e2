import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from './google/protobuf/Any.ts';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from './google/protobuf/Duration.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { Status as _google_rpc_Status, Status__Output as _google_rpc_Status__Output } from './google/rpc/Status.ts';
import type { Backup as _socle_v1_Backup, Backup__Output as _socle_v1_Backup__Output } from './socle/v1/Backup.ts';
import type { BackupDisk as _socle_v1_BackupDisk, BackupDisk__Output as _socle_v1_BackupDisk__Output } from './socle/v1/BackupDisk.ts';
import type { BackupServiceClient as _socle_v1_BackupServiceClient, BackupServiceDefinition as _socle_v1_BackupServiceDefinition } from './socle/v1/BackupService.ts';
import type { BeginBackupRequest as _socle_v1_BeginBackupRequest, BeginBackupRequest__Output as _socle_v1_BeginBackupRequest__Output } from './socle/v1/BeginBackupRequest.ts';
import type { CancelOperationRequest as _socle_v1_CancelOperationRequest, CancelOperationRequest__Output as _socle_v1_CancelOperationRequest__Output } from './socle/v1/CancelOperationRequest.ts';
import type { Extent as _socle_v1_Extent, Extent__Output as _socle_v1_Extent__Output } from './socle/v1/Extent.ts';
import type { ExtentData as _socle_v1_ExtentData, ExtentData__Output as _socle_v1_ExtentData__Output } from './socle/v1/ExtentData.ts';
import type { ExtentList as _socle_v1_ExtentList, ExtentList__Output as _socle_v1_ExtentList__Output } from './socle/v1/ExtentList.ts';
import type { FinishBackupRequest as _socle_v1_FinishBackupRequest, FinishBackupRequest__Output as _socle_v1_FinishBackupRequest__Output } from './socle/v1/FinishBackupRequest.ts';
import type { GetBackupRequest as _socle_v1_GetBackupRequest, GetBackupRequest__Output as _socle_v1_GetBackupRequest__Output } from './socle/v1/GetBackupRequest.ts';
import type { GetOperationRequest as _socle_v1_GetOperationRequest, GetOperationRequest__Output as _socle_v1_GetOperationRequest__Output } from './socle/v1/GetOperationRequest.ts';
import type { ListBackupsRequest as _socle_v1_ListBackupsRequest, ListBackupsRequest__Output as _socle_v1_ListBackupsRequest__Output } from './socle/v1/ListBackupsRequest.ts';
import type { ListBackupsResponse as _socle_v1_ListBackupsResponse, ListBackupsResponse__Output as _socle_v1_ListBackupsResponse__Output } from './socle/v1/ListBackupsResponse.ts';
import type { ListExtentsRequest as _socle_v1_ListExtentsRequest, ListExtentsRequest__Output as _socle_v1_ListExtentsRequest__Output } from './socle/v1/ListExtentsRequest.ts';
import type { ListOperationsRequest as _socle_v1_ListOperationsRequest, ListOperationsRequest__Output as _socle_v1_ListOperationsRequest__Output } from './socle/v1/ListOperationsRequest.ts';
import type { ListOperationsResponse as _socle_v1_ListOperationsResponse, ListOperationsResponse__Output as _socle_v1_ListOperationsResponse__Output } from './socle/v1/ListOperationsResponse.ts';
import type { Operation as _socle_v1_Operation, Operation__Output as _socle_v1_Operation__Output } from './socle/v1/Operation.ts';
import type { OperationServiceClient as _socle_v1_OperationServiceClient, OperationServiceDefinition as _socle_v1_OperationServiceDefinition } from './socle/v1/OperationService.ts';
import type { ReadExtentsRequest as _socle_v1_ReadExtentsRequest, ReadExtentsRequest__Output as _socle_v1_ReadExtentsRequest__Output } from './socle/v1/ReadExtentsRequest.ts';
import type { RenewBackupRequest as _socle_v1_RenewBackupRequest, RenewBackupRequest__Output as _socle_v1_RenewBackupRequest__Output } from './socle/v1/RenewBackupRequest.ts';
import type { RestoreDiskRequest as _socle_v1_RestoreDiskRequest, RestoreDiskRequest__Output as _socle_v1_RestoreDiskRequest__Output } from './socle/v1/RestoreDiskRequest.ts';
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
      Backup: MessageTypeDefinition<_socle_v1_Backup, _socle_v1_Backup__Output>
      BackupDisk: MessageTypeDefinition<_socle_v1_BackupDisk, _socle_v1_BackupDisk__Output>
      BackupService: SubtypeConstructor<typeof grpc.Client, _socle_v1_BackupServiceClient> & { service: _socle_v1_BackupServiceDefinition }
      BackupState: EnumTypeDefinition
      BeginBackupRequest: MessageTypeDefinition<_socle_v1_BeginBackupRequest, _socle_v1_BeginBackupRequest__Output>
      CancelOperationRequest: MessageTypeDefinition<_socle_v1_CancelOperationRequest, _socle_v1_CancelOperationRequest__Output>
      Extent: MessageTypeDefinition<_socle_v1_Extent, _socle_v1_Extent__Output>
      ExtentData: MessageTypeDefinition<_socle_v1_ExtentData, _socle_v1_ExtentData__Output>
      ExtentList: MessageTypeDefinition<_socle_v1_ExtentList, _socle_v1_ExtentList__Output>
      FinishBackupRequest: MessageTypeDefinition<_socle_v1_FinishBackupRequest, _socle_v1_FinishBackupRequest__Output>
      GetBackupRequest: MessageTypeDefinition<_socle_v1_GetBackupRequest, _socle_v1_GetBackupRequest__Output>
      GetOperationRequest: MessageTypeDefinition<_socle_v1_GetOperationRequest, _socle_v1_GetOperationRequest__Output>
      ListBackupsRequest: MessageTypeDefinition<_socle_v1_ListBackupsRequest, _socle_v1_ListBackupsRequest__Output>
      ListBackupsResponse: MessageTypeDefinition<_socle_v1_ListBackupsResponse, _socle_v1_ListBackupsResponse__Output>
      ListExtentsRequest: MessageTypeDefinition<_socle_v1_ListExtentsRequest, _socle_v1_ListExtentsRequest__Output>
      ListOperationsRequest: MessageTypeDefinition<_socle_v1_ListOperationsRequest, _socle_v1_ListOperationsRequest__Output>
      ListOperationsResponse: MessageTypeDefinition<_socle_v1_ListOperationsResponse, _socle_v1_ListOperationsResponse__Output>
      Operation: MessageTypeDefinition<_socle_v1_Operation, _socle_v1_Operation__Output>
      OperationService: SubtypeConstructor<typeof grpc.Client, _socle_v1_OperationServiceClient> & { service: _socle_v1_OperationServiceDefinition }
      ReadExtentsRequest: MessageTypeDefinition<_socle_v1_ReadExtentsRequest, _socle_v1_ReadExtentsRequest__Output>
      RenewBackupRequest: MessageTypeDefinition<_socle_v1_RenewBackupRequest, _socle_v1_RenewBackupRequest__Output>
      RestoreDiskRequest: MessageTypeDefinition<_socle_v1_RestoreDiskRequest, _socle_v1_RestoreDiskRequest__Output>
      SettleOperationRequest: MessageTypeDefinition<_socle_v1_SettleOperationRequest, _socle_v1_SettleOperationRequest__Output>
      WaitOperationRequest: MessageTypeDefinition<_socle_v1_WaitOperationRequest, _socle_v1_WaitOperationRequest__Output>
      WatchOperationsRequest: MessageTypeDefinition<_socle_v1_WatchOperationsRequest, _socle_v1_WatchOperationsRequest__Output>
    }
  }
}

