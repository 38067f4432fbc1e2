import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { ListNetworksRequest as _socle_v1_ListNetworksRequest, ListNetworksRequest__Output as _socle_v1_ListNetworksRequest__Output } from './socle/v1/ListNetworksRequest.ts';
import type { ListNetworksResponse as _socle_v1_ListNetworksResponse, ListNetworksResponse__Output as _socle_v1_ListNetworksResponse__Output } from './socle/v1/ListNetworksResponse.ts';
import type { NetworkServiceClient as _socle_v1_NetworkServiceClient, NetworkServiceDefinition as _socle_v1_NetworkServiceDefinition } from './socle/v1/NetworkService.ts';
import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from './socle/v1/Observation.ts';
import type { Position as _socle_v1_Position, Position__Output as _socle_v1_Position__Output } from './socle/v1/Position.ts';
import type { VirtualNetwork as _socle_v1_VirtualNetwork, VirtualNetwork__Output as _socle_v1_VirtualNetwork__Output } from './socle/v1/VirtualNetwork.ts';

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
      LifecycleState: EnumTypeDefinition
      ListNetworksRequest: MessageTypeDefinition<_socle_v1_ListNetworksRequest, _socle_v1_ListNetworksRequest__Output>
      ListNetworksResponse: MessageTypeDefinition<_socle_v1_ListNetworksResponse, _socle_v1_ListNetworksResponse__Output>
      NetworkService: SubtypeConstructor<typeof grpc.Client, _socle_v1_NetworkServiceClient> & { service: _socle_v1_NetworkServiceDefinition }
      NetworkState: EnumTypeDefinition
      Observation: MessageTypeDefinition<_socle_v1_Observation, _socle_v1_Observation__Output>
      Position: MessageTypeDefinition<_socle_v1_Position, _socle_v1_Position__Output>
      Presence: EnumTypeDefinition
      Truth: EnumTypeDefinition
      VirtualNetwork: MessageTypeDefinition<_socle_v1_VirtualNetwork, _socle_v1_VirtualNetwork__Output>
    }
  }
}

