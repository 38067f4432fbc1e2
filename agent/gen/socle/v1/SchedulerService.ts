// Original file: proto/socle/v1/scheduler.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AgentMessage as _socle_v1_AgentMessage, AgentMessage__Output as _socle_v1_AgentMessage__Output } from '../../socle/v1/AgentMessage.ts';
import type { ReportPart as _socle_v1_ReportPart, ReportPart__Output as _socle_v1_ReportPart__Output } from '../../socle/v1/ReportPart.ts';
import type { ReportResponse as _socle_v1_ReportResponse, ReportResponse__Output as _socle_v1_ReportResponse__Output } from '../../socle/v1/ReportResponse.ts';
import type { SchedulerMessage as _socle_v1_SchedulerMessage, SchedulerMessage__Output as _socle_v1_SchedulerMessage__Output } from '../../socle/v1/SchedulerMessage.ts';

export interface SchedulerServiceClient extends grpc.Client {
  Report(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ReportResponse__Output>): grpc.ClientWritableStream<_socle_v1_ReportPart>;
  Report(metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ReportResponse__Output>): grpc.ClientWritableStream<_socle_v1_ReportPart>;
  Report(options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ReportResponse__Output>): grpc.ClientWritableStream<_socle_v1_ReportPart>;
  Report(callback: grpc.requestCallback<_socle_v1_ReportResponse__Output>): grpc.ClientWritableStream<_socle_v1_ReportPart>;
  report(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ReportResponse__Output>): grpc.ClientWritableStream<_socle_v1_ReportPart>;
  report(metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ReportResponse__Output>): grpc.ClientWritableStream<_socle_v1_ReportPart>;
  report(options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ReportResponse__Output>): grpc.ClientWritableStream<_socle_v1_ReportPart>;
  report(callback: grpc.requestCallback<_socle_v1_ReportResponse__Output>): grpc.ClientWritableStream<_socle_v1_ReportPart>;
  
  Session(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_AgentMessage, _socle_v1_SchedulerMessage__Output>;
  Session(options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_AgentMessage, _socle_v1_SchedulerMessage__Output>;
  session(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_AgentMessage, _socle_v1_SchedulerMessage__Output>;
  session(options?: grpc.CallOptions): grpc.ClientDuplexStream<_socle_v1_AgentMessage, _socle_v1_SchedulerMessage__Output>;
  
}

export interface SchedulerServiceHandlers extends grpc.UntypedServiceImplementation {
  Report: grpc.handleClientStreamingCall<_socle_v1_ReportPart__Output, _socle_v1_ReportResponse>;
  
  Session: grpc.handleBidiStreamingCall<_socle_v1_AgentMessage__Output, _socle_v1_SchedulerMessage>;
  
}

export interface SchedulerServiceDefinition extends grpc.ServiceDefinition {
  Report: MethodDefinition<_socle_v1_ReportPart, _socle_v1_ReportResponse, _socle_v1_ReportPart__Output, _socle_v1_ReportResponse__Output>
  Session: MethodDefinition<_socle_v1_AgentMessage, _socle_v1_SchedulerMessage, _socle_v1_AgentMessage__Output, _socle_v1_SchedulerMessage__Output>
}
