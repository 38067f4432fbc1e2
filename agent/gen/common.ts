import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from './socle/v1/Observation.ts';
import type { Position as _socle_v1_Position, Position__Output as _socle_v1_Position__Output } from './socle/v1/Position.ts';

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
      Observation: MessageTypeDefinition<_socle_v1_Observation, _socle_v1_Observation__Output>
      Position: MessageTypeDefinition<_socle_v1_Position, _socle_v1_Position__Output>
      Presence: EnumTypeDefinition
      Truth: EnumTypeDefinition
    }
  }
}

