// Original file: proto/socle/v1/host.proto

import type { TenantUse as _socle_v1_TenantUse, TenantUse__Output as _socle_v1_TenantUse__Output } from '../../socle/v1/TenantUse.ts';
import type { Long } from '@grpc/proto-loader';

export interface ListTenantsResponse {
  'tenants'?: (_socle_v1_TenantUse)[];
  'totalSize'?: (number | string | Long);
}

export interface ListTenantsResponse__Output {
  'tenants': (_socle_v1_TenantUse__Output)[];
  'totalSize': (number);
}
