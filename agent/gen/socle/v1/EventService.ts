// Original file: proto/socle/v1/event.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { Event as _socle_v1_Event, Event__Output as _socle_v1_Event__Output } from '../../socle/v1/Event.ts';
import type { SubscribeRequest as _socle_v1_SubscribeRequest, SubscribeRequest__Output as _socle_v1_SubscribeRequest__Output } from '../../socle/v1/SubscribeRequest.ts';

export interface EventServiceClient extends grpc.Client {
  Subscribe(argument: _socle_v1_SubscribeRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_Event__Output>;
  Subscribe(argument: _socle_v1_SubscribeRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_Event__Output>;
  subscribe(argument: _socle_v1_SubscribeRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_Event__Output>;
  subscribe(argument: _socle_v1_SubscribeRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_socle_v1_Event__Output>;
  
}

export interface EventServiceHandlers extends grpc.UntypedServiceImplementation {
  Subscribe: grpc.handleServerStreamingCall<_socle_v1_SubscribeRequest__Output, _socle_v1_Event>;
  
}

export interface EventServiceDefinition extends grpc.ServiceDefinition {
  Subscribe: MethodDefinition<_socle_v1_SubscribeRequest, _socle_v1_Event, _socle_v1_SubscribeRequest__Output, _socle_v1_Event__Output>
}
