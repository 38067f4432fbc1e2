// Original file: proto/socle/v1/image.proto

import type { Image as _socle_v1_Image, Image__Output as _socle_v1_Image__Output } from '../../socle/v1/Image.ts';

export interface ListImagesResponse {
  'images'?: (_socle_v1_Image)[];
  'nextPageToken'?: (string);
  'unreadPools'?: (string)[];
}

export interface ListImagesResponse__Output {
  'images': (_socle_v1_Image__Output)[];
  'nextPageToken': (string);
  'unreadPools': (string)[];
}
