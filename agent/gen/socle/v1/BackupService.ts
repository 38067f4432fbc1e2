// Original file: proto/socle/v1/backup.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { Backup as _socle_v1_Backup, Backup__Output as _socle_v1_Backup__Output } from '../../socle/v1/Backup.ts';
import type { BeginBackupRequest as _socle_v1_BeginBackupRequest, BeginBackupRequest__Output as _socle_v1_BeginBackupRequest__Output } from '../../socle/v1/BeginBackupRequest.ts';
import type { ExtentData as _socle_v1_ExtentData, ExtentData__Output as _socle_v1_ExtentData__Output } from '../../socle/v1/ExtentData.ts';
import type { ExtentList as _socle_v1_ExtentList, ExtentList__Output as _socle_v1_ExtentList__Output } from '../../socle/v1/ExtentList.ts';
import type { FinishBackupRequest as _socle_v1_FinishBackupRequest, FinishBackupRequest__Output as _socle_v1_FinishBackupRequest__Output } from '../../socle/v1/FinishBackupRequest.ts';
import type { GetBackupRequest as _socle_v1_GetBackupRequest, GetBackupRequest__Output as _socle_v1_GetBackupRequest__Output } from '../../socle/v1/GetBackupRequest.ts';
import type { ListBackupsRequest as _socle_v1_ListBackupsRequest, ListBackupsRequest__Output as _socle_v1_ListBackupsRequest__Output } from '../../socle/v1/ListBackupsRequest.ts';
import type { ListBackupsResponse as _socle_v1_ListBackupsResponse, ListBackupsResponse__Output as _socle_v1_ListBackupsResponse__Output } from '../../socle/v1/ListBackupsResponse.ts';
import type { ListExtentsRequest as _socle_v1_ListExtentsRequest, ListExtentsRequest__Output as _socle_v1_ListExtentsRequest__Output } from '../../socle/v1/ListExtentsRequest.ts';
import type { Operation as _socle_v1_Operation, Operation__Output as _socle_v1_Operation__Output } from '../../socle/v1/Operation.ts';
import type { ReadExtentsRequest as _socle_v1_ReadExtentsRequest, ReadExtentsRequest__Output as _socle_v1_ReadExtentsRequest__Output } from '../../socle/v1/ReadExtentsRequest.ts';
import type { RenewBackupRequest as _socle_v1_RenewBackupRequest, RenewBackupRequest__Output as _socle_v1_RenewBackupRequest__Output } from '../../socle/v1/RenewBackupRequest.ts';
import type { RestoreDiskRequest as _socle_v1_RestoreDiskRequest, RestoreDiskRequest__Output as _socle_v1_RestoreDiskRequest__Output } from '../../socle/v1/RestoreDiskRequest.ts';

export interface BackupServiceClient extends grpc.Client {
  BeginBackup(argument: _socle_v1_BeginBackupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  BeginBackup(argument: _socle_v1_BeginBackupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  BeginBackup(argument: _socle_v1_BeginBackupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  BeginBackup(argument: _socle_v1_BeginBackupRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  beginBackup(argument: _socle_v1_BeginBackupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  beginBackup(argument: _socle_v1_BeginBackupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  beginBackup(argument: _socle_v1_BeginBackupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  beginBackup(argument: _socle_v1_BeginBackupRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  FinishBackup(argument: _socle_v1_FinishBackupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  FinishBackup(argument: _socle_v1_FinishBackupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  FinishBackup(argument: _socle_v1_FinishBackupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  FinishBackup(argument: _socle_v1_FinishBackupRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  finishBackup(argument: _socle_v1_FinishBackupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  finishBackup(argument: _socle_v1_FinishBackupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  finishBackup(argument: _socle_v1_FinishBackupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  finishBackup(argument: _socle_v1_FinishBackupRequest, callback: grpc.requestCallback<_socle_v1_Operation__Output>): grpc.ClientUnaryCall;
  
  GetBackup(argument: _socle_v1_GetBackupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  GetBackup(argument: _socle_v1_GetBackupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  GetBackup(argument: _socle_v1_GetBackupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  GetBackup(argument: _socle_v1_GetBackupRequest, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  getBackup(argument: _socle_v1_GetBackupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  getBackup(argument: _socle_v1_GetBackupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  getBackup(argument: _socle_v1_GetBackupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  getBackup(argument: _socle_v1_GetBackupRequest, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  
  ListBackups(argument: _socle_v1_ListBackupsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListBackupsResponse__Output>): grpc.ClientUnaryCall;
  ListBackups(argument: _socle_v1_ListBackupsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListBackupsResponse__Output>): grpc.ClientUnaryCall;
  ListBackups(argument: _socle_v1_ListBackupsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListBackupsResponse__Output>): grpc.ClientUnaryCall;
  ListBackups(argument: _socle_v1_ListBackupsRequest, callback: grpc.requestCallback<_socle_v1_ListBackupsResponse__Output>): grpc.ClientUnaryCall;
  listBackups(argument: _socle_v1_ListBackupsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListBackupsResponse__Output>): grpc.ClientUnaryCall;
  listBackups(argument: _socle_v1_ListBackupsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListBackupsResponse__Output>): grpc.ClientUnaryCall;
  listBackups(argument: _socle_v1_ListBackupsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListBackupsResponse__Output>): grpc.ClientUnaryCall;
  listBackups(argument: _socle_v1_ListBackupsRequest, callback: grpc.requestCallback<_socle_v1_ListBackupsResponse__Output>): grpc.ClientUnaryCall;
  
  ListExtents(argument: _socle_v1_ListExtentsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_ExtentList__Output>;
  ListExtents(argument: _socle_v1_ListExtentsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_ExtentList__Output>;
  listExtents(argument: _socle_v1_ListExtentsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_ExtentList__Output>;
  listExtents(argument: _socle_v1_ListExtentsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_ExtentList__Output>;
  
  ReadExtents(argument: _socle_v1_ReadExtentsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_ExtentData__Output>;
  ReadExtents(argument: _socle_v1_ReadExtentsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_ExtentData__Output>;
  readExtents(argument: _socle_v1_ReadExtentsRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_ExtentData__Output>;
  readExtents(argument: _socle_v1_ReadExtentsRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_ExtentData__Output>;
  
  RenewBackup(argument: _socle_v1_RenewBackupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  RenewBackup(argument: _socle_v1_RenewBackupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  RenewBackup(argument: _socle_v1_RenewBackupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  RenewBackup(argument: _socle_v1_RenewBackupRequest, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  renewBackup(argument: _socle_v1_RenewBackupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  renewBackup(argument: _socle_v1_RenewBackupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  renewBackup(argument: _socle_v1_RenewBackupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  renewBackup(argument: _socle_v1_RenewBackupRequest, callback: grpc.requestCallback<_socle_v1_Backup__Output>): grpc.ClientUnaryCall;
  
  RestoreDisk(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_RestoreDiskRequest, _socle_v1_Operation__Output>;
  RestoreDisk(options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_RestoreDiskRequest, _socle_v1_Operation__Output>;
  restoreDisk(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_RestoreDiskRequest, _socle_v1_Operation__Output>;
  restoreDisk(options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_RestoreDiskRequest, _socle_v1_Operation__Output>;
  
}

export interface BackupServiceHandlers extends grpc.UntypedServiceImplementation {
  BeginBackup: grpc.handleUnaryCall<_socle_v1_BeginBackupRequest__Output, _socle_v1_Operation>;
  
  FinishBackup: grpc.handleUnaryCall<_socle_v1_FinishBackupRequest__Output, _socle_v1_Operation>;
  
  GetBackup: grpc.handleUnaryCall<_socle_v1_GetBackupRequest__Output, _socle_v1_Backup>;
  
  ListBackups: grpc.handleUnaryCall<_socle_v1_ListBackupsRequest__Output, _socle_v1_ListBackupsResponse>;
  
  ListExtents: grpc.handleServerStreamingCall<_socle_v1_ListExtentsRequest__Output, _socle_v1_ExtentList>;
  
  ReadExtents: grpc.handleServerStreamingCall<_socle_v1_ReadExtentsRequest__Output, _socle_v1_ExtentData>;
  
  RenewBackup: grpc.handleUnaryCall<_socle_v1_RenewBackupRequest__Output, _socle_v1_Backup>;
  
  RestoreDisk: grpc.handleBidiStreamingCall<_socle_v1_RestoreDiskRequest__Output, _socle_v1_Operation>;
  
}

export interface BackupServiceDefinition extends grpc.ServiceDefinition {
  BeginBackup: MethodDefinition<_socle_v1_BeginBackupRequest, _socle_v1_Operation, _socle_v1_BeginBackupRequest__Output, _socle_v1_Operation__Output>
  FinishBackup: MethodDefinition<_socle_v1_FinishBackupRequest, _socle_v1_Operation, _socle_v1_FinishBackupRequest__Output, _socle_v1_Operation__Output>
  GetBackup: MethodDefinition<_socle_v1_GetBackupRequest, _socle_v1_Backup, _socle_v1_GetBackupRequest__Output, _socle_v1_Backup__Output>
  ListBackups: MethodDefinition<_socle_v1_ListBackupsRequest, _socle_v1_ListBackupsResponse, _socle_v1_ListBackupsRequest__Output, _socle_v1_ListBackupsResponse__Output>
  ListExtents: MethodDefinition<_socle_v1_ListExtentsRequest, _socle_v1_ExtentList, _socle_v1_ListExtentsRequest__Output, _socle_v1_ExtentList__Output>
  ReadExtents: MethodDefinition<_socle_v1_ReadExtentsRequest, _socle_v1_ExtentData, _socle_v1_ReadExtentsRequest__Output, _socle_v1_ExtentData__Output>
  RenewBackup: MethodDefinition<_socle_v1_RenewBackupRequest, _socle_v1_Backup, _socle_v1_RenewBackupRequest__Output, _socle_v1_Backup__Output>
  RestoreDisk: MethodDefinition<_socle_v1_RestoreDiskRequest, _socle_v1_Operation, _socle_v1_RestoreDiskRequest__Output, _socle_v1_Operation__Output>
}
