// Original file: proto/socle/v1/host.proto

import type { PageSize as _socle_v1_PageSize, PageSize__Output as _socle_v1_PageSize__Output } from '../../socle/v1/PageSize.ts';
import type { CpuGroup as _socle_v1_CpuGroup, CpuGroup__Output as _socle_v1_CpuGroup__Output } from '../../socle/v1/CpuGroup.ts';
import type { CacheGroup as _socle_v1_CacheGroup, CacheGroup__Output as _socle_v1_CacheGroup__Output } from '../../socle/v1/CacheGroup.ts';
import type { Long } from '@grpc/proto-loader';

export interface NumaCell {
  'cell'?: (number);
  'cpus'?: (number)[];
  'memoryBytes'?: (number | string | Long);
  'pages'?: (_socle_v1_PageSize)[];
  'distances'?: (number)[];
  'siblings'?: (_socle_v1_CpuGroup)[];
  'caches'?: (_socle_v1_CacheGroup)[];
  'offlineCpus'?: (number)[];
}

export interface NumaCell__Output {
  'cell': (number);
  'cpus': (number)[];
  'memoryBytes': (number);
  'pages': (_socle_v1_PageSize__Output)[];
  'distances': (number)[];
  'siblings': (_socle_v1_CpuGroup__Output)[];
  'caches': (_socle_v1_CacheGroup__Output)[];
  'offlineCpus': (number)[];
}
