// Original file: proto/socle/v1/network.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ListNetworksRequest as _socle_v1_ListNetworksRequest, ListNetworksRequest__Output as _socle_v1_ListNetworksRequest__Output } from '../../socle/v1/ListNetworksRequest.ts';
import type { ListNetworksResponse as _socle_v1_ListNetworksResponse, ListNetworksResponse__Output as _socle_v1_ListNetworksResponse__Output } from '../../socle/v1/ListNetworksResponse.ts';

export interface NetworkServiceClient extends grpc.Client {
  ListNetworks(argument: _socle_v1_ListNetworksRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListNetworksResponse__Output>): grpc.ClientUnaryCall;
  ListNetworks(argument: _socle_v1_ListNetworksRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListNetworksResponse__Output>): grpc.ClientUnaryCall;
  ListNetworks(argument: _socle_v1_ListNetworksRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListNetworksResponse__Output>): grpc.ClientUnaryCall;
  ListNetworks(argument: _socle_v1_ListNetworksRequest, callback: grpc.requestCallback<_socle_v1_ListNetworksResponse__Output>): grpc.ClientUnaryCall;
  listNetworks(argument: _socle_v1_ListNetworksRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListNetworksResponse__Output>): grpc.ClientUnaryCall;
  listNetworks(argument: _socle_v1_ListNetworksRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_socle_v1_ListNetworksResponse__Output>): grpc.ClientUnaryCall;
  listNetworks(argument: _socle_v1_ListNetworksRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_socle_v1_ListNetworksResponse__Output>): grpc.ClientUnaryCall;
  listNetworks(argument: _socle_v1_ListNetworksRequest, callback: grpc.requestCallback<_socle_v1_ListNetworksResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface NetworkServiceHandlers extends grpc.UntypedServiceImplementation {
  ListNetworks: grpc.handleUnaryCall<_socle_v1_ListNetworksRequest__Output, _socle_v1_ListNetworksResponse>;
  
}

export interface NetworkServiceDefinition extends grpc.ServiceDefinition {
  ListNetworks: MethodDefinition<_socle_v1_ListNetworksRequest, _socle_v1_ListNetworksResponse, _socle_v1_ListNetworksRequest__Output, _socle_v1_ListNetworksResponse__Output>
}
