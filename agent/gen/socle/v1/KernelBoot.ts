// Original file: proto/socle/v1/vm.proto

import type { VolumeReference as _socle_v1_VolumeReference, VolumeReference__Output as _socle_v1_VolumeReference__Output } from '../../socle/v1/VolumeReference.ts';

export interface KernelBoot {
  'kernel'?: (_socle_v1_VolumeReference | null);
  'initrd'?: (_socle_v1_VolumeReference | null);
  'commandLine'?: (string);
}

export interface KernelBoot__Output {
  'kernel': (_socle_v1_VolumeReference__Output | null);
  'initrd': (_socle_v1_VolumeReference__Output | null);
  'commandLine': (string);
}
