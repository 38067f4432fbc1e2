import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from './google/protobuf/Duration.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { ExecInGuestRequest as _socle_v1_ExecInGuestRequest, ExecInGuestRequest__Output as _socle_v1_ExecInGuestRequest__Output } from './socle/v1/ExecInGuestRequest.ts';
import type { ExecInGuestResponse as _socle_v1_ExecInGuestResponse, ExecInGuestResponse__Output as _socle_v1_ExecInGuestResponse__Output } from './socle/v1/ExecInGuestResponse.ts';
import type { FreezeFilesystemsRequest as _socle_v1_FreezeFilesystemsRequest, FreezeFilesystemsRequest__Output as _socle_v1_FreezeFilesystemsRequest__Output } from './socle/v1/FreezeFilesystemsRequest.ts';
import type { FreezeFilesystemsResponse as _socle_v1_FreezeFilesystemsResponse, FreezeFilesystemsResponse__Output as _socle_v1_FreezeFilesystemsResponse__Output } from './socle/v1/FreezeFilesystemsResponse.ts';
import type { GetGuestInfoRequest as _socle_v1_GetGuestInfoRequest, GetGuestInfoRequest__Output as _socle_v1_GetGuestInfoRequest__Output } from './socle/v1/GetGuestInfoRequest.ts';
import type { GuestInfo as _socle_v1_GuestInfo, GuestInfo__Output as _socle_v1_GuestInfo__Output } from './socle/v1/GuestInfo.ts';
import type { GuestServiceClient as _socle_v1_GuestServiceClient, GuestServiceDefinition as _socle_v1_GuestServiceDefinition } from './socle/v1/GuestService.ts';
import type { SetGuestPasswordRequest as _socle_v1_SetGuestPasswordRequest, SetGuestPasswordRequest__Output as _socle_v1_SetGuestPasswordRequest__Output } from './socle/v1/SetGuestPasswordRequest.ts';
import type { SetGuestPasswordResponse as _socle_v1_SetGuestPasswordResponse, SetGuestPasswordResponse__Output as _socle_v1_SetGuestPasswordResponse__Output } from './socle/v1/SetGuestPasswordResponse.ts';
import type { SetGuestSshKeysRequest as _socle_v1_SetGuestSshKeysRequest, SetGuestSshKeysRequest__Output as _socle_v1_SetGuestSshKeysRequest__Output } from './socle/v1/SetGuestSshKeysRequest.ts';
import type { SetGuestSshKeysResponse as _socle_v1_SetGuestSshKeysResponse, SetGuestSshKeysResponse__Output as _socle_v1_SetGuestSshKeysResponse__Output } from './socle/v1/SetGuestSshKeysResponse.ts';
import type { SyncGuestTimeRequest as _socle_v1_SyncGuestTimeRequest, SyncGuestTimeRequest__Output as _socle_v1_SyncGuestTimeRequest__Output } from './socle/v1/SyncGuestTimeRequest.ts';
import type { SyncGuestTimeResponse as _socle_v1_SyncGuestTimeResponse, SyncGuestTimeResponse__Output as _socle_v1_SyncGuestTimeResponse__Output } from './socle/v1/SyncGuestTimeResponse.ts';
import type { ThawFilesystemsRequest as _socle_v1_ThawFilesystemsRequest, ThawFilesystemsRequest__Output as _socle_v1_ThawFilesystemsRequest__Output } from './socle/v1/ThawFilesystemsRequest.ts';
import type { ThawFilesystemsResponse as _socle_v1_ThawFilesystemsResponse, ThawFilesystemsResponse__Output as _socle_v1_ThawFilesystemsResponse__Output } from './socle/v1/ThawFilesystemsResponse.ts';
import type { TrimGuestRequest as _socle_v1_TrimGuestRequest, TrimGuestRequest__Output as _socle_v1_TrimGuestRequest__Output } from './socle/v1/TrimGuestRequest.ts';
import type { TrimGuestResponse as _socle_v1_TrimGuestResponse, TrimGuestResponse__Output as _socle_v1_TrimGuestResponse__Output } from './socle/v1/TrimGuestResponse.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  google: {
    protobuf: {
      Duration: MessageTypeDefinition<_google_protobuf_Duration, _google_protobuf_Duration__Output>
      Timestamp: MessageTypeDefinition<_google_protobuf_Timestamp, _google_protobuf_Timestamp__Output>
    }
  }
  socle: {
    v1: {
      ExecInGuestRequest: MessageTypeDefinition<_socle_v1_ExecInGuestRequest, _socle_v1_ExecInGuestRequest__Output>
      ExecInGuestResponse: MessageTypeDefinition<_socle_v1_ExecInGuestResponse, _socle_v1_ExecInGuestResponse__Output>
      FreezeFilesystemsRequest: MessageTypeDefinition<_socle_v1_FreezeFilesystemsRequest, _socle_v1_FreezeFilesystemsRequest__Output>
      FreezeFilesystemsResponse: MessageTypeDefinition<_socle_v1_FreezeFilesystemsResponse, _socle_v1_FreezeFilesystemsResponse__Output>
      GetGuestInfoRequest: MessageTypeDefinition<_socle_v1_GetGuestInfoRequest, _socle_v1_GetGuestInfoRequest__Output>
      GuestInfo: MessageTypeDefinition<_socle_v1_GuestInfo, _socle_v1_GuestInfo__Output>
      GuestService: SubtypeConstructor<typeof grpc.Client, _socle_v1_GuestServiceClient> & { service: _socle_v1_GuestServiceDefinition }
      SetGuestPasswordRequest: MessageTypeDefinition<_socle_v1_SetGuestPasswordRequest, _socle_v1_SetGuestPasswordRequest__Output>
      SetGuestPasswordResponse: MessageTypeDefinition<_socle_v1_SetGuestPasswordResponse, _socle_v1_SetGuestPasswordResponse__Output>
      SetGuestSshKeysRequest: MessageTypeDefinition<_socle_v1_SetGuestSshKeysRequest, _socle_v1_SetGuestSshKeysRequest__Output>
      SetGuestSshKeysResponse: MessageTypeDefinition<_socle_v1_SetGuestSshKeysResponse, _socle_v1_SetGuestSshKeysResponse__Output>
      SyncGuestTimeRequest: MessageTypeDefinition<_socle_v1_SyncGuestTimeRequest, _socle_v1_SyncGuestTimeRequest__Output>
      SyncGuestTimeResponse: MessageTypeDefinition<_socle_v1_SyncGuestTimeResponse, _socle_v1_SyncGuestTimeResponse__Output>
      ThawFilesystemsRequest: MessageTypeDefinition<_socle_v1_ThawFilesystemsRequest, _socle_v1_ThawFilesystemsRequest__Output>
      ThawFilesystemsResponse: MessageTypeDefinition<_socle_v1_ThawFilesystemsResponse, _socle_v1_ThawFilesystemsResponse__Output>
      TrimGuestRequest: MessageTypeDefinition<_socle_v1_TrimGuestRequest, _socle_v1_TrimGuestRequest__Output>
      TrimGuestResponse: MessageTypeDefinition<_socle_v1_TrimGuestResponse, _socle_v1_TrimGuestResponse__Output>
    }
  }
}

