// Original file: proto/socle/v1/enrollment.proto

import type { Certification as _socle_v1_Certification, Certification__Output as _socle_v1_Certification__Output } from '../../socle/v1/Certification.ts';

export interface RenewResponse {
  'certification'?: (_socle_v1_Certification | null);
}

export interface RenewResponse__Output {
  'certification': (_socle_v1_Certification__Output | null);
}
