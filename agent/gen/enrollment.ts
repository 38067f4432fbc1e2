import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { Certification as _socle_v1_Certification, Certification__Output as _socle_v1_Certification__Output } from './socle/v1/Certification.ts';
import type { EnrollHostRequest as _socle_v1_EnrollHostRequest, EnrollHostRequest__Output as _socle_v1_EnrollHostRequest__Output } from './socle/v1/EnrollHostRequest.ts';
import type { EnrollRequest as _socle_v1_EnrollRequest, EnrollRequest__Output as _socle_v1_EnrollRequest__Output } from './socle/v1/EnrollRequest.ts';
import type { EnrollResponse as _socle_v1_EnrollResponse, EnrollResponse__Output as _socle_v1_EnrollResponse__Output } from './socle/v1/EnrollResponse.ts';
import type { EnrollmentServiceClient as _socle_v1_EnrollmentServiceClient, EnrollmentServiceDefinition as _socle_v1_EnrollmentServiceDefinition } from './socle/v1/EnrollmentService.ts';
import type { GetTrustRequest as _socle_v1_GetTrustRequest, GetTrustRequest__Output as _socle_v1_GetTrustRequest__Output } from './socle/v1/GetTrustRequest.ts';
import type { RenewRequest as _socle_v1_RenewRequest, RenewRequest__Output as _socle_v1_RenewRequest__Output } from './socle/v1/RenewRequest.ts';
import type { RenewResponse as _socle_v1_RenewResponse, RenewResponse__Output as _socle_v1_RenewResponse__Output } from './socle/v1/RenewResponse.ts';
import type { TrustServiceClient as _socle_v1_TrustServiceClient, TrustServiceDefinition as _socle_v1_TrustServiceDefinition } from './socle/v1/TrustService.ts';
import type { TrustState as _socle_v1_TrustState, TrustState__Output as _socle_v1_TrustState__Output } from './socle/v1/TrustState.ts';

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
      Certification: MessageTypeDefinition<_socle_v1_Certification, _socle_v1_Certification__Output>
      EnrollHostRequest: MessageTypeDefinition<_socle_v1_EnrollHostRequest, _socle_v1_EnrollHostRequest__Output>
      EnrollRequest: MessageTypeDefinition<_socle_v1_EnrollRequest, _socle_v1_EnrollRequest__Output>
      EnrollResponse: MessageTypeDefinition<_socle_v1_EnrollResponse, _socle_v1_EnrollResponse__Output>
      EnrollmentService: SubtypeConstructor<typeof grpc.Client, _socle_v1_EnrollmentServiceClient> & { service: _socle_v1_EnrollmentServiceDefinition }
      GetTrustRequest: MessageTypeDefinition<_socle_v1_GetTrustRequest, _socle_v1_GetTrustRequest__Output>
      RenewRequest: MessageTypeDefinition<_socle_v1_RenewRequest, _socle_v1_RenewRequest__Output>
      RenewResponse: MessageTypeDefinition<_socle_v1_RenewResponse, _socle_v1_RenewResponse__Output>
      TrustService: SubtypeConstructor<typeof grpc.Client, _socle_v1_TrustServiceClient> & { service: _socle_v1_TrustServiceDefinition }
      TrustState: MessageTypeDefinition<_socle_v1_TrustState, _socle_v1_TrustState__Output>
    }
  }
}

