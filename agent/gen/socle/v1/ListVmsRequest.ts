// Original file: proto/socle/v1/vm.proto

import type { VmFilter as _socle_v1_VmFilter, VmFilter__Output as _socle_v1_VmFilter__Output } from '../../socle/v1/VmFilter.ts';

export interface ListVmsRequest {
  'pageSize'?: (number);
  'pageToken'?: (string);
  'filter'?: (_socle_v1_VmFilter | null);
  'etag'?: (string);
}

export interface ListVmsRequest__Output {
  'pageSize': (number);
  'pageToken': (string);
  'filter': (_socle_v1_VmFilter__Output | null);
  'etag': (string);
}
