// Original file: proto/socle/v1/screen.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CreateScreenTicketRequest as _socle_v1_CreateScreenTicketRequest, CreateScreenTicketRequest__Output as _socle_v1_CreateScreenTicketRequest__Output } from '../../socle/v1/CreateScreenTicketRequest.ts';
import type { GetScreenshotRequest as _socle_v1_GetScreenshotRequest, GetScreenshotRequest__Output as _socle_v1_GetScreenshotRequest__Output } from '../../socle/v1/GetScreenshotRequest.ts';
import type { GetScreenshotResponse as _socle_v1_GetScreenshotResponse, GetScreenshotResponse__Output as _socle_v1_GetScreenshotResponse__Output } from '../../socle/v1/GetScreenshotResponse.ts';
import type { OpenScreenRequest as _socle_v1_OpenScreenRequest, OpenScreenRequest__Output as _socle_v1_OpenScreenRequest__Output } from '../../socle/v1/OpenScreenRequest.ts';
import type { OpenScreenResponse as _socle_v1_OpenScreenResponse, OpenScreenResponse__Output as _socle_v1_OpenScreenResponse__Output } from '../../socle/v1/OpenScreenResponse.ts';
import type { ScreenTicket as _socle_v1_ScreenTicket, ScreenTicket__Output as _socle_v1_ScreenTicket__Output } from '../../socle/v1/ScreenTicket.ts';

export interface ScreenServiceClient extends grpc.Client {
  CreateScreenTicket(argument: _socle_v1_CreateScreenTicketRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ScreenTicket__Output>): grpc.ClientUnaryCall;
  CreateScreenTicket(argument: _socle_v1_CreateScreenTicketRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ScreenTicket__Output>): grpc.ClientUnaryCall;
  CreateScreenTicket(argument: _socle_v1_CreateScreenTicketRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ScreenTicket__Output>): grpc.ClientUnaryCall;
  CreateScreenTicket(argument: _socle_v1_CreateScreenTicketRequest, callback: grpc.requestCallback<_socle_v1_ScreenTicket__Output>): grpc.ClientUnaryCall;
  createScreenTicket(argument: _socle_v1_CreateScreenTicketRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ScreenTicket__Output>): grpc.ClientUnaryCall;
  createScreenTicket(argument: _socle_v1_CreateScreenTicketRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ScreenTicket__Output>): grpc.ClientUnaryCall;
  createScreenTicket(argument: _socle_v1_CreateScreenTicketRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ScreenTicket__Output>): grpc.ClientUnaryCall;
  createScreenTicket(argument: _socle_v1_CreateScreenTicketRequest, callback: grpc.requestCallback<_socle_v1_ScreenTicket__Output>): grpc.ClientUnaryCall;
  
  GetScreenshot(argument: _socle_v1_GetScreenshotRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_GetScreenshotResponse__Output>;
  GetScreenshot(argument: _socle_v1_GetScreenshotRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_GetScreenshotResponse__Output>;
  getScreenshot(argument: _socle_v1_GetScreenshotRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_GetScreenshotResponse__Output>;
  getScreenshot(argument: _socle_v1_GetScreenshotRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_GetScreenshotResponse__Output>;
  
  OpenScreen(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_OpenScreenRequest, _socle_v1_OpenScreenResponse__Output>;
  OpenScreen(options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_OpenScreenRequest, _socle_v1_OpenScreenResponse__Output>;
  openScreen(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_OpenScreenRequest, _socle_v1_OpenScreenResponse__Output>;
  openScreen(options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_OpenScreenRequest, _socle_v1_OpenScreenResponse__Output>;
  
}

export interface ScreenServiceHandlers extends grpc.UntypedServiceImplementation {
  CreateScreenTicket: grpc.handleUnaryCall<_socle_v1_CreateScreenTicketRequest__Output, _socle_v1_ScreenTicket>;
  
  GetScreenshot: grpc.handleServerStreamingCall<_socle_v1_GetScreenshotRequest__Output, _socle_v1_GetScreenshotResponse>;
  
  OpenScreen: grpc.handleBidiStreamingCall<_socle_v1_OpenScreenRequest__Output, _socle_v1_OpenScreenResponse>;
  
}

export interface ScreenServiceDefinition extends grpc.ServiceDefinition {
  CreateScreenTicket: MethodDefinition<_socle_v1_CreateScreenTicketRequest, _socle_v1_ScreenTicket, _socle_v1_CreateScreenTicketRequest__Output, _socle_v1_ScreenTicket__Output>
  GetScreenshot: MethodDefinition<_socle_v1_GetScreenshotRequest, _socle_v1_GetScreenshotResponse, _socle_v1_GetScreenshotRequest__Output, _socle_v1_GetScreenshotResponse__Output>
  OpenScreen: MethodDefinition<_socle_v1_OpenScreenRequest, _socle_v1_OpenScreenResponse, _socle_v1_OpenScreenRequest__Output, _socle_v1_OpenScreenResponse__Output>
}
