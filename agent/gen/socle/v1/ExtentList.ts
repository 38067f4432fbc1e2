// Original file: proto/socle/v1/backup.proto

import type { Extent as _socle_v1_Extent, Extent__Output as _socle_v1_Extent__Output } from '../../socle/v1/Extent.ts';

export interface ExtentList {
  'extents'?: (_socle_v1_Extent)[];
}

export interface ExtentList__Output {
  'extents': (_socle_v1_Extent__Output)[];
}
