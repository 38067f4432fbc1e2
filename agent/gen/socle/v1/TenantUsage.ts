// Original file: proto/socle/v1/host.proto

import type { Long } from '@grpc/proto-loader';

export interface _socle_v1_TenantUsage_Dimension {
  'name'?: (string);
  'used'?: (number | string | Long);
  'limited'?: (boolean);
  'limit'?: (number | string | Long);
}

export interface _socle_v1_TenantUsage_Dimension__Output {
  'name': (string);
  'used': (number);
  'limited': (boolean);
  'limit': (number);
}

export interface TenantUsage {
  'tenant'?: (string);
  'dimensions'?: (_socle_v1_TenantUsage_Dimension)[];
}

export interface TenantUsage__Output {
  'tenant': (string);
  'dimensions': (_socle_v1_TenantUsage_Dimension__Output)[];
}
