// Original file: proto/socle/v1/guest.proto

import type { Long } from '@grpc/proto-loader';

export interface _socle_v1_TrimGuestResponse_Filesystem {
  'mountPoint'?: (string);
  'trimmedBytes'?: (number | string | Long);
}

export interface _socle_v1_TrimGuestResponse_Filesystem__Output {
  'mountPoint': (string);
  'trimmedBytes': (number);
}

export interface TrimGuestResponse {
  'filesystems'?: (_socle_v1_TrimGuestResponse_Filesystem)[];
}

export interface TrimGuestResponse__Output {
  'filesystems': (_socle_v1_TrimGuestResponse_Filesystem__Output)[];
}
