// Original file: proto/socle/v1/guest.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ExecInGuestRequest as _socle_v1_ExecInGuestRequest, ExecInGuestRequest__Output as _socle_v1_ExecInGuestRequest__Output } from '../../socle/v1/ExecInGuestRequest.ts';
import type { ExecInGuestResponse as _socle_v1_ExecInGuestResponse, ExecInGuestResponse__Output as _socle_v1_ExecInGuestResponse__Output } from '../../socle/v1/ExecInGuestResponse.ts';
import type { FreezeFilesystemsRequest as _socle_v1_FreezeFilesystemsRequest, FreezeFilesystemsRequest__Output as _socle_v1_FreezeFilesystemsRequest__Output } from '../../socle/v1/FreezeFilesystemsRequest.ts';
import type { FreezeFilesystemsResponse as _socle_v1_FreezeFilesystemsResponse, FreezeFilesystemsResponse__Output as _socle_v1_FreezeFilesystemsResponse__Output } from '../../socle/v1/FreezeFilesystemsResponse.ts';
import type { GetGuestInfoRequest as _socle_v1_GetGuestInfoRequest, GetGuestInfoRequest__Output as _socle_v1_GetGuestInfoRequest__Output } from '../../socle/v1/GetGuestInfoRequest.ts';
import type { GuestInfo as _socle_v1_GuestInfo, GuestInfo__Output as _socle_v1_GuestInfo__Output } from '../../socle/v1/GuestInfo.ts';
import type { SetGuestPasswordRequest as _socle_v1_SetGuestPasswordRequest, SetGuestPasswordRequest__Output as _socle_v1_SetGuestPasswordRequest__Output } from '../../socle/v1/SetGuestPasswordRequest.ts';
import type { SetGuestPasswordResponse as _socle_v1_SetGuestPasswordResponse, SetGuestPasswordResponse__Output as _socle_v1_SetGuestPasswordResponse__Output } from '../../socle/v1/SetGuestPasswordResponse.ts';
import type { SetGuestSshKeysRequest as _socle_v1_SetGuestSshKeysRequest, SetGuestSshKeysRequest__Output as _socle_v1_SetGuestSshKeysRequest__Output } from '../../socle/v1/SetGuestSshKeysRequest.ts';
import type { SetGuestSshKeysResponse as _socle_v1_SetGuestSshKeysResponse, SetGuestSshKeysResponse__Output as _socle_v1_SetGuestSshKeysResponse__Output } from '../../socle/v1/SetGuestSshKeysResponse.ts';
import type { SyncGuestTimeRequest as _socle_v1_SyncGuestTimeRequest, SyncGuestTimeRequest__Output as _socle_v1_SyncGuestTimeRequest__Output } from '../../socle/v1/SyncGuestTimeRequest.ts';
import type { SyncGuestTimeResponse as _socle_v1_SyncGuestTimeResponse, SyncGuestTimeResponse__Output as _socle_v1_SyncGuestTimeResponse__Output } from '../../socle/v1/SyncGuestTimeResponse.ts';
import type { ThawFilesystemsRequest as _socle_v1_ThawFilesystemsRequest, ThawFilesystemsRequest__Output as _socle_v1_ThawFilesystemsRequest__Output } from '../../socle/v1/ThawFilesystemsRequest.ts';
import type { ThawFilesystemsResponse as _socle_v1_ThawFilesystemsResponse, ThawFilesystemsResponse__Output as _socle_v1_ThawFilesystemsResponse__Output } from '../../socle/v1/ThawFilesystemsResponse.ts';
import type { TrimGuestRequest as _socle_v1_TrimGuestRequest, TrimGuestRequest__Output as _socle_v1_TrimGuestRequest__Output } from '../../socle/v1/TrimGuestRequest.ts';
import type { TrimGuestResponse as _socle_v1_TrimGuestResponse, TrimGuestResponse__Output as _socle_v1_TrimGuestResponse__Output } from '../../socle/v1/TrimGuestResponse.ts';

export interface GuestServiceClient extends grpc.Client {
  ExecInGuest(argument: _socle_v1_ExecInGuestRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ExecInGuestResponse__Output>): grpc.ClientUnaryCall;
  ExecInGuest(argument: _socle_v1_ExecInGuestRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ExecInGuestResponse__Output>): grpc.ClientUnaryCall;
  ExecInGuest(argument: _socle_v1_ExecInGuestRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ExecInGuestResponse__Output>): grpc.ClientUnaryCall;
  ExecInGuest(argument: _socle_v1_ExecInGuestRequest, callback: grpc.requestCallback<_socle_v1_ExecInGuestResponse__Output>): grpc.ClientUnaryCall;
  execInGuest(argument: _socle_v1_ExecInGuestRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ExecInGuestResponse__Output>): grpc.ClientUnaryCall;
  execInGuest(argument: _socle_v1_ExecInGuestRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ExecInGuestResponse__Output>): grpc.ClientUnaryCall;
  execInGuest(argument: _socle_v1_ExecInGuestRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ExecInGuestResponse__Output>): grpc.ClientUnaryCall;
  execInGuest(argument: _socle_v1_ExecInGuestRequest, callback: grpc.requestCallback<_socle_v1_ExecInGuestResponse__Output>): grpc.ClientUnaryCall;
  
  FreezeFilesystems(argument: _socle_v1_FreezeFilesystemsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_FreezeFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  FreezeFilesystems(argument: _socle_v1_FreezeFilesystemsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_FreezeFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  FreezeFilesystems(argument: _socle_v1_FreezeFilesystemsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_FreezeFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  FreezeFilesystems(argument: _socle_v1_FreezeFilesystemsRequest, callback: grpc.requestCallback<_socle_v1_FreezeFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  freezeFilesystems(argument: _socle_v1_FreezeFilesystemsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_FreezeFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  freezeFilesystems(argument: _socle_v1_FreezeFilesystemsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_FreezeFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  freezeFilesystems(argument: _socle_v1_FreezeFilesystemsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_FreezeFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  freezeFilesystems(argument: _socle_v1_FreezeFilesystemsRequest, callback: grpc.requestCallback<_socle_v1_FreezeFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  
  GetGuestInfo(argument: _socle_v1_GetGuestInfoRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_GuestInfo__Output>): grpc.ClientUnaryCall;
  GetGuestInfo(argument: _socle_v1_GetGuestInfoRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_GuestInfo__Output>): grpc.ClientUnaryCall;
  GetGuestInfo(argument: _socle_v1_GetGuestInfoRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_GuestInfo__Output>): grpc.ClientUnaryCall;
  GetGuestInfo(argument: _socle_v1_GetGuestInfoRequest, callback: grpc.requestCallback<_socle_v1_GuestInfo__Output>): grpc.ClientUnaryCall;
  getGuestInfo(argument: _socle_v1_GetGuestInfoRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_GuestInfo__Output>): grpc.ClientUnaryCall;
  getGuestInfo(argument: _socle_v1_GetGuestInfoRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_GuestInfo__Output>): grpc.ClientUnaryCall;
  getGuestInfo(argument: _socle_v1_GetGuestInfoRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_GuestInfo__Output>): grpc.ClientUnaryCall;
  getGuestInfo(argument: _socle_v1_GetGuestInfoRequest, callback: grpc.requestCallback<_socle_v1_GuestInfo__Output>): grpc.ClientUnaryCall;
  
  SetGuestPassword(argument: _socle_v1_SetGuestPasswordRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_SetGuestPasswordResponse__Output>): grpc.ClientUnaryCall;
  SetGuestPassword(argument: _socle_v1_SetGuestPasswordRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_SetGuestPasswordResponse__Output>): grpc.ClientUnaryCall;
  SetGuestPassword(argument: _socle_v1_SetGuestPasswordRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_SetGuestPasswordResponse__Output>): grpc.ClientUnaryCall;
  SetGuestPassword(argument: _socle_v1_SetGuestPasswordRequest, callback: grpc.requestCallback<_socle_v1_SetGuestPasswordResponse__Output>): grpc.ClientUnaryCall;
  setGuestPassword(argument: _socle_v1_SetGuestPasswordRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_SetGuestPasswordResponse__Output>): grpc.ClientUnaryCall;
  setGuestPassword(argument: _socle_v1_SetGuestPasswordRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_SetGuestPasswordResponse__Output>): grpc.ClientUnaryCall;
  setGuestPassword(argument: _socle_v1_SetGuestPasswordRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_SetGuestPasswordResponse__Output>): grpc.ClientUnaryCall;
  setGuestPassword(argument: _socle_v1_SetGuestPasswordRequest, callback: grpc.requestCallback<_socle_v1_SetGuestPasswordResponse__Output>): grpc.ClientUnaryCall;
  
  SetGuestSshKeys(argument: _socle_v1_SetGuestSshKeysRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_SetGuestSshKeysResponse__Output>): grpc.ClientUnaryCall;
  SetGuestSshKeys(argument: _socle_v1_SetGuestSshKeysRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_SetGuestSshKeysResponse__Output>): grpc.ClientUnaryCall;
  SetGuestSshKeys(argument: _socle_v1_SetGuestSshKeysRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_SetGuestSshKeysResponse__Output>): grpc.ClientUnaryCall;
  SetGuestSshKeys(argument: _socle_v1_SetGuestSshKeysRequest, callback: grpc.requestCallback<_socle_v1_SetGuestSshKeysResponse__Output>): grpc.ClientUnaryCall;
  setGuestSshKeys(argument: _socle_v1_SetGuestSshKeysRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_SetGuestSshKeysResponse__Output>): grpc.ClientUnaryCall;
  setGuestSshKeys(argument: _socle_v1_SetGuestSshKeysRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_SetGuestSshKeysResponse__Output>): grpc.ClientUnaryCall;
  setGuestSshKeys(argument: _socle_v1_SetGuestSshKeysRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_SetGuestSshKeysResponse__Output>): grpc.ClientUnaryCall;
  setGuestSshKeys(argument: _socle_v1_SetGuestSshKeysRequest, callback: grpc.requestCallback<_socle_v1_SetGuestSshKeysResponse__Output>): grpc.ClientUnaryCall;
  
  SyncGuestTime(argument: _socle_v1_SyncGuestTimeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_SyncGuestTimeResponse__Output>): grpc.ClientUnaryCall;
  SyncGuestTime(argument: _socle_v1_SyncGuestTimeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_SyncGuestTimeResponse__Output>): grpc.ClientUnaryCall;
  SyncGuestTime(argument: _socle_v1_SyncGuestTimeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_SyncGuestTimeResponse__Output>): grpc.ClientUnaryCall;
  SyncGuestTime(argument: _socle_v1_SyncGuestTimeRequest, callback: grpc.requestCallback<_socle_v1_SyncGuestTimeResponse__Output>): grpc.ClientUnaryCall;
  syncGuestTime(argument: _socle_v1_SyncGuestTimeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_SyncGuestTimeResponse__Output>): grpc.ClientUnaryCall;
  syncGuestTime(argument: _socle_v1_SyncGuestTimeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_SyncGuestTimeResponse__Output>): grpc.ClientUnaryCall;
  syncGuestTime(argument: _socle_v1_SyncGuestTimeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_SyncGuestTimeResponse__Output>): grpc.ClientUnaryCall;
  syncGuestTime(argument: _socle_v1_SyncGuestTimeRequest, callback: grpc.requestCallback<_socle_v1_SyncGuestTimeResponse__Output>): grpc.ClientUnaryCall;
  
  ThawFilesystems(argument: _socle_v1_ThawFilesystemsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ThawFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  ThawFilesystems(argument: _socle_v1_ThawFilesystemsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ThawFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  ThawFilesystems(argument: _socle_v1_ThawFilesystemsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ThawFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  ThawFilesystems(argument: _socle_v1_ThawFilesystemsRequest, callback: grpc.requestCallback<_socle_v1_ThawFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  thawFilesystems(argument: _socle_v1_ThawFilesystemsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ThawFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  thawFilesystems(argument: _socle_v1_ThawFilesystemsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ThawFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  thawFilesystems(argument: _socle_v1_ThawFilesystemsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ThawFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  thawFilesystems(argument: _socle_v1_ThawFilesystemsRequest, callback: grpc.requestCallback<_socle_v1_ThawFilesystemsResponse__Output>): grpc.ClientUnaryCall;
  
  TrimGuest(argument: _socle_v1_TrimGuestRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_TrimGuestResponse__Output>): grpc.ClientUnaryCall;
  TrimGuest(argument: _socle_v1_TrimGuestRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_TrimGuestResponse__Output>): grpc.ClientUnaryCall;
  TrimGuest(argument: _socle_v1_TrimGuestRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_TrimGuestResponse__Output>): grpc.ClientUnaryCall;
  TrimGuest(argument: _socle_v1_TrimGuestRequest, callback: grpc.requestCallback<_socle_v1_TrimGuestResponse__Output>): grpc.ClientUnaryCall;
  trimGuest(argument: _socle_v1_TrimGuestRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_TrimGuestResponse__Output>): grpc.ClientUnaryCall;
  trimGuest(argument: _socle_v1_TrimGuestRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_TrimGuestResponse__Output>): grpc.ClientUnaryCall;
  trimGuest(argument: _socle_v1_TrimGuestRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_TrimGuestResponse__Output>): grpc.ClientUnaryCall;
  trimGuest(argument: _socle_v1_TrimGuestRequest, callback: grpc.requestCallback<_socle_v1_TrimGuestResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface GuestServiceHandlers extends grpc.UntypedServiceImplementation {
  ExecInGuest: grpc.handleUnaryCall<_socle_v1_ExecInGuestRequest__Output, _socle_v1_ExecInGuestResponse>;
  
  FreezeFilesystems: grpc.handleUnaryCall<_socle_v1_FreezeFilesystemsRequest__Output, _socle_v1_FreezeFilesystemsResponse>;
  
  GetGuestInfo: grpc.handleUnaryCall<_socle_v1_GetGuestInfoRequest__Output, _socle_v1_GuestInfo>;
  
  SetGuestPassword: grpc.handleUnaryCall<_socle_v1_SetGuestPasswordRequest__Output, _socle_v1_SetGuestPasswordResponse>;
  
  SetGuestSshKeys: grpc.handleUnaryCall<_socle_v1_SetGuestSshKeysRequest__Output, _socle_v1_SetGuestSshKeysResponse>;
  
  SyncGuestTime: grpc.handleUnaryCall<_socle_v1_SyncGuestTimeRequest__Output, _socle_v1_SyncGuestTimeResponse>;
  
  ThawFilesystems: grpc.handleUnaryCall<_socle_v1_ThawFilesystemsRequest__Output, _socle_v1_ThawFilesystemsResponse>;
  
  TrimGuest: grpc.handleUnaryCall<_socle_v1_TrimGuestRequest__Output, _socle_v1_TrimGuestResponse>;
  
}

export interface GuestServiceDefinition extends grpc.ServiceDefinition {
  ExecInGuest: MethodDefinition<_socle_v1_ExecInGuestRequest, _socle_v1_ExecInGuestResponse, _socle_v1_ExecInGuestRequest__Output, _socle_v1_ExecInGuestResponse__Output>
  FreezeFilesystems: MethodDefinition<_socle_v1_FreezeFilesystemsRequest, _socle_v1_FreezeFilesystemsResponse, _socle_v1_FreezeFilesystemsRequest__Output, _socle_v1_FreezeFilesystemsResponse__Output>
  GetGuestInfo: MethodDefinition<_socle_v1_GetGuestInfoRequest, _socle_v1_GuestInfo, _socle_v1_GetGuestInfoRequest__Output, _socle_v1_GuestInfo__Output>
  SetGuestPassword: MethodDefinition<_socle_v1_SetGuestPasswordRequest, _socle_v1_SetGuestPasswordResponse, _socle_v1_SetGuestPasswordRequest__Output, _socle_v1_SetGuestPasswordResponse__Output>
  SetGuestSshKeys: MethodDefinition<_socle_v1_SetGuestSshKeysRequest, _socle_v1_SetGuestSshKeysResponse, _socle_v1_SetGuestSshKeysRequest__Output, _socle_v1_SetGuestSshKeysResponse__Output>
  SyncGuestTime: MethodDefinition<_socle_v1_SyncGuestTimeRequest, _socle_v1_SyncGuestTimeResponse, _socle_v1_SyncGuestTimeRequest__Output, _socle_v1_SyncGuestTimeResponse__Output>
  ThawFilesystems: MethodDefinition<_socle_v1_ThawFilesystemsRequest, _socle_v1_ThawFilesystemsResponse, _socle_v1_ThawFilesystemsRequest__Output, _socle_v1_ThawFilesystemsResponse__Output>
  TrimGuest: MethodDefinition<_socle_v1_TrimGuestRequest, _socle_v1_TrimGuestResponse, _socle_v1_TrimGuestRequest__Output, _socle_v1_TrimGuestResponse__Output>
}
