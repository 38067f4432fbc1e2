// Original file: proto/socle/v1/host.proto

import type { TenantUsage as _socle_v1_TenantUsage, TenantUsage__Output as _socle_v1_TenantUsage__Output } from '../../socle/v1/TenantUsage.ts';
import type { Long } from '@grpc/proto-loader';

export interface ListTenantsResponse {
  'tenants'?: (_socle_v1_TenantUsage)[];
  'totalSize'?: (number | string | Long);
}

export interface ListTenantsResponse__Output {
  'tenants': (_socle_v1_TenantUsage__Output)[];
  'totalSize': (number);
}
