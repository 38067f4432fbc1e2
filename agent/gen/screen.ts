import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { CreateScreenTicketRequest as _socle_v1_CreateScreenTicketRequest, CreateScreenTicketRequest__Output as _socle_v1_CreateScreenTicketRequest__Output } from './socle/v1/CreateScreenTicketRequest.ts';
import type { GetScreenshotRequest as _socle_v1_GetScreenshotRequest, GetScreenshotRequest__Output as _socle_v1_GetScreenshotRequest__Output } from './socle/v1/GetScreenshotRequest.ts';
import type { GetScreenshotResponse as _socle_v1_GetScreenshotResponse, GetScreenshotResponse__Output as _socle_v1_GetScreenshotResponse__Output } from './socle/v1/GetScreenshotResponse.ts';
import type { OpenScreenRequest as _socle_v1_OpenScreenRequest, OpenScreenRequest__Output as _socle_v1_OpenScreenRequest__Output } from './socle/v1/OpenScreenRequest.ts';
import type { OpenScreenResponse as _socle_v1_OpenScreenResponse, OpenScreenResponse__Output as _socle_v1_OpenScreenResponse__Output } from './socle/v1/OpenScreenResponse.ts';
import type { ScreenServiceClient as _socle_v1_ScreenServiceClient, ScreenServiceDefinition as _socle_v1_ScreenServiceDefinition } from './socle/v1/ScreenService.ts';
import type { ScreenTicket as _socle_v1_ScreenTicket, ScreenTicket__Output as _socle_v1_ScreenTicket__Output } from './socle/v1/ScreenTicket.ts';

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
      CreateScreenTicketRequest: MessageTypeDefinition<_socle_v1_CreateScreenTicketRequest, _socle_v1_CreateScreenTicketRequest__Output>
      GetScreenshotRequest: MessageTypeDefinition<_socle_v1_GetScreenshotRequest, _socle_v1_GetScreenshotRequest__Output>
      GetScreenshotResponse: MessageTypeDefinition<_socle_v1_GetScreenshotResponse, _socle_v1_GetScreenshotResponse__Output>
      OpenScreenRequest: MessageTypeDefinition<_socle_v1_OpenScreenRequest, _socle_v1_OpenScreenRequest__Output>
      OpenScreenResponse: MessageTypeDefinition<_socle_v1_OpenScreenResponse, _socle_v1_OpenScreenResponse__Output>
      ScreenService: SubtypeConstructor<typeof grpc.Client, _socle_v1_ScreenServiceClient> & { service: _socle_v1_ScreenServiceDefinition }
      ScreenTicket: MessageTypeDefinition<_socle_v1_ScreenTicket, _socle_v1_ScreenTicket__Output>
    }
  }
}

